import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createTracePipeline } from '../../src/pipeline/traces.ts';
import { createEbpfReceiver } from '../../src/receiver/ebpf.ts';
import { type KernelRecord, RECEIVER_KIND } from '../../src/receiver/kernel-record.ts';
import { createRecordingWriter } from '../../src/recording/write.ts';
import { hopsOf } from '../harness/hopspan.ts';
import { judge } from '../harness/match.ts';
import { startChild, stopLeftovers, until } from '../harness/process.ts';
import { startEnvoy } from '../harness/proxies.ts';
import { asFileSpan, createCollector, readAll, spansOf } from '../harness/recordings.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import { runClient, startBackend } from '../harness/traffic.ts';
import { joinByConnection } from '../harness/truth.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const folder = temporaryFolder(after);
after(stopLeftovers);

test('a replay gives the spans that the live pipeline gave, with the same ids', async () => {
  const path = join(folder, 'live.hsrec');
  const backend = await startBackend();
  const envoy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
  const live = createCollector();
  const pipeline = createTracePipeline([live], { phaseFloorNs: 0, resourceAttributes: {} });
  const writer = await createRecordingWriter(path);
  const config = {
    ...({ type: 'ebpf', name: 'ebpf', targets: [{ by: 'listen_port', listenPort: envoy.port }] } as const),
    ...{
      maxConnections: 4096,
      ringBufferBytes: 1 << 22,
      maxHeadBytes: 8192,
      turns: 'auto' as const,
      queryStrings: false,
      headerDiff: false,
      hostEvents: true,
      idleTimeoutMs: 5000,
      phaseFloorNs: 0,
    },
    unsampled: 'drop' as const,
  };
  const receiver = createEbpfReceiver(config, (record: KernelRecord) => {
    pipeline.push(record);
    writer.write(record);
  });
  receiver.start();
  const load = { connections: 200, concurrency: 50, exchanges: 3, answerBytes: { min: 12, max: 20_000 } };
  const client = await runClient({ port: envoy.port, ...load });
  const log = await backend.log();
  await envoy.stop();
  await receiver.stop(5000);
  pipeline.flush();
  await writer.close();
  await backend.stop();

  const { records, error } = await readAll(path);
  assert.equal(error, undefined);
  assert.equal(records[0]?.kind, RECEIVER_KIND.HOST);
  assert.deepEqual(await spansOf(records), live.spans);
  const verdict = judge(hopsOf(live.spans.map(asFileSpan)).hops, joinByConnection(client, log).values());
  assert.equal(verdict.right, 600);
});

test('hopspan record, killed: what it wrote until then can be replayed', async () => {
  const path = join(folder, 'killed.hsrec');
  const backend = await startBackend();
  const envoy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
  const recorder = await startChild(process.execPath, [
    ...[MAIN, 'record', '--output', path, '--listen-port', String(envoy.port)],
  ]);
  assert.match(
    await recorder.line(/ready/),
    /^hopspan: ready hooks=\S+ targets=envoy\(\d+\) capabilities=\S+$/,
  );
  await runClient({ port: envoy.port, connections: 10, exchanges: 2 });
  await envoy.stop();
  /* The recorder writes with every heartbeat. */
  const before = await until('20 hops in the recording', async () => {
    const { records } = await readAll(path);
    const hops = (await spansOf(records)).filter(({ kind }) => kind === 'SERVER');
    return hops.length === 20 && records;
  });
  await recorder.stop('SIGKILL');
  const { records, error } = await readAll(path);
  assert.ok(records.length >= before.length);
  assert.match(
    String(error),
    /was cut off at byte \d+ and lacks its end; the \d+ records before it are good\.$/,
  );
  await backend.stop();
});
