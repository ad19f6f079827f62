import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { createTracePipeline } from '../../../src/pipeline/traces.ts';
import type { KernelRecord } from '../../../src/receiver/kernel-record.ts';
import { createRecordingWriter } from '../../../src/recording/write.ts';
import { FREEZE_RECORD, PROCESS_RECORD, SIDE_RECORD } from '../../../src/records.gen.ts';
import { freezeOfBytes, makeFreeze, makeNetwork } from '../../harness/host-records.ts';
import {
  makeClock,
  makeHost,
  makeHttpMessage,
  makeProxy,
  makeStream,
  processOfBytes,
  sideOfBytes,
} from '../../harness/kernel-records.ts';
import { createRandom } from '../../harness/random.ts';
import { createCollector, readAll, spansOf, writeRecording } from '../../harness/recordings.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const folder = temporaryFolder(after);
const path = join(folder, 'trip.hsrec');

async function roundTrip(records: KernelRecord[]): Promise<KernelRecord[]> {
  await writeRecording(path, records);
  const { records: read, error } = await readAll(path);
  assert.equal(error, undefined);
  return read;
}

describe('the schema', () => {
  const file = fileURLToPath(new URL('../../../proto/hopspan/v1/recording.proto', import.meta.url));
  const root = protobuf.loadSync(file);
  const fieldsOf = (message: string): string[] =>
    Object.keys(root.lookupType(`hopspan.v1.${message}`).fields).toSorted();
  const layoutOf = (layout: object): string[] =>
    Object.keys(layout)
      .filter((name) => !['size', 'kind', 'reserved'].includes(name))
      .toSorted();
  const keysOf = (record: object): string[] =>
    Object.keys(record)
      .filter((name) => name !== 'kind')
      .toSorted();

  test('has every field of every record and no other', () => {
    assert.deepEqual(fieldsOf('Side'), layoutOf(SIDE_RECORD));
    assert.deepEqual(fieldsOf('Process'), layoutOf(PROCESS_RECORD));
    assert.deepEqual(fieldsOf('Freeze'), layoutOf(FREEZE_RECORD));
    assert.deepEqual(fieldsOf('Network'), keysOf(makeNetwork()));
    assert.deepEqual(fieldsOf('Host'), keysOf(makeHost()));
    assert.deepEqual(fieldsOf('Proxy'), keysOf(makeProxy()));
    assert.deepEqual(fieldsOf('Clock'), keysOf(makeClock(0)));
    assert.deepEqual(fieldsOf('HttpMessage'), keysOf(makeHttpMessage()));
  });
});

describe('every field survives', () => {
  const random = createRandom(1);
  const byte = (): number => Math.floor(random() * 256);
  const fills: [string, (at: number) => number][] = [
    ['nothing set', () => 0],
    ['every byte different', (at) => (at * 7 + 1) & 0xff],
    ['every bit set but the highest of eight bytes', (at) => (at % 8 === 7 ? 0x7f : 0xff)],
    ['numbers above 2^32 and 2^53', (at) => (at % 8 === 6 ? 0x7f : at % 8)],
    ...Array.from({ length: 20 }, (_, n): [string, () => number] => [`random ${n}`, byte]),
  ];
  for (const [name, fill] of fills) {
    test(name, async () => {
      const records = [sideOfBytes(fill), processOfBytes(fill), freezeOfBytes(fill)];
      assert.deepEqual(await roundTrip(records), records);
    });
  }

  test('IPv6 addresses with zeros at the end, full ones, IPv4', async () => {
    const addresses = ['20010db8000000000000000000000000', '20010db8000000000000000000000001', '7f000001'];
    const records = addresses.map((hex) => {
      const address = new Uint8Array(16);
      address.set(Buffer.from(hex, 'hex'));
      return { ...sideOfBytes(() => 0), localAddr: address, remoteAddr: address };
    });
    assert.deepEqual(await roundTrip(records), records);
  });

  test('records of the receiver', async () => {
    const uptimeOfAYear = 365 * 86_400 * 1e9;
    const records = [
      makeHost({ hostName: 'höst', hostId: 'a'.repeat(32) }),
      makeHost({ hostName: '', seed: '' }),
      makeProxy({ tgid: 4_194_304, executablePath: `/${'x'.repeat(4094)}`, containerId: 'c'.repeat(64) }),
      makeProxy({ serviceName: '', executableName: '', executablePath: '' }),
      makeNetwork(),
      makeNetwork({
        loopback: true,
        address: new Uint8Array(16).fill(254),
        gateway: Uint8Array.of(0, 0, 0, 0),
      }),
      makeHttpMessage(),
      makeHttpMessage({ method: '', path: '', headers: {}, statusCode: 503 }),
      makeClock(uptimeOfAYear),
      makeClock(0),
      { ...makeClock(1), wallSeconds: 2 ** 40 + 1, wallNanos: 0 },
    ];
    assert.ok(uptimeOfAYear > Number.MAX_SAFE_INTEGER);
    assert.deepEqual(await roundTrip(records), records);
  });

  test('many records, more than fit in one piece of the file', async () => {
    const records = makeStream(2000);
    assert.deepEqual(await roundTrip(records), records);
    assert.ok(readFileSync(path).length > 3 * 65_536);
  });
});

test('a replay gives the spans of the live pipeline, ids and all', async () => {
  const live = createCollector();
  const pipeline = createTracePipeline([live], { phaseFloorNs: 0, resourceAttributes: {} });
  const writer = await createRecordingWriter(path);
  for (const record of makeStream(50)) {
    writer.write(record);
    pipeline.push(record);
  }
  pipeline.flush();
  await writer.close();
  assert.deepEqual(writer.stats(), { records: 154, dropped: 0 });
  assert.ok(live.spans.length > 50 * 5);
  assert.deepEqual(await spansOf((await readAll(path)).records), live.spans);
});

test('a replay has the events of the host, too', async () => {
  const second = 1e9;
  const records = makeStream(3);
  records.splice(-3, 0, makeFreeze({ fromNs: 0.3 * second, toNs: 0.301 * second }));
  const [none, ...more] = (await spansOf(await roundTrip(records)))
    .filter(({ kind }) => kind === 'SERVER')
    .map(({ events }) => events);
  assert.deepEqual([none, more[0]], [[], []]);
  assert.deepEqual(
    more[1]?.map(({ name }) => name),
    ['hopspan.host.process_frozen'],
  );
});
