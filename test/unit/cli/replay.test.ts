import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fixturePaths } from '../../harness/fixtures.ts';
import { hopsOf, readSpans } from '../../harness/hopspan.ts';
import { makeStream } from '../../harness/kernel-records.ts';
import { startOtlpSink } from '../../harness/otlp-sink.ts';
import { type Child, startChild, stopLeftovers } from '../../harness/process.ts';
import { asFileSpan, readAll, spansOf, writeRecording } from '../../harness/recordings.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const MAIN = new URL('../../../src/cli/main.ts', import.meta.url).pathname;
const folder = temporaryFolder(after);
after(stopLeftovers);

const { recording } = fixturePaths('envoy-echo');

interface Ended {
  readonly child: Child;
  readonly code: number | null;
}

async function hopspan(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child = await startChild(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env.PATH, ...env },
  });
  const { code } = await child.exited;
  return { child, code };
}

/** A configuration whose file exporter writes to the path that it returns. */
function configuration(name: string): { config: string; spans: string } {
  const config = join(folder, `${name}.yaml`);
  const spans = join(folder, `${name}.jsonl`);
  writeFileSync(
    config,
    [
      'receivers: { ebpf: {}, ebpf/second: { targets: [{ executable: nginx }] } }',
      `exporters: { file: { path: ${spans} } }`,
      'service: { pipelines: { traces: { receivers: [ebpf, ebpf/second], exporters: [file] } } }',
    ].join('\n'),
  );
  return { config, spans };
}

describe('replay', () => {
  test('with a configuration: its pipelines get the recording once, whatever receivers they have', async () => {
    const { config, spans } = configuration('whole');
    const { child, code } = await hopspan(['replay', recording, '--config', config]);
    assert.deepEqual([code, child.stderr()], [0, '']);
    const expected = (await spansOf((await readAll(recording)).records)).map(asFileSpan);
    const seen = await readSpans(spans);
    assert.deepEqual(
      seen.map(({ spanId, traceId, startNs, endNs }) => [spanId, traceId, startNs, endNs]),
      expected.map(({ spanId, traceId, startNs, endNs }) => [spanId, traceId, startNs, endNs]),
    );
    assert.equal(hopsOf(seen).hops.length, 60);
  });

  test('a recording that was cut off: everything before goes out, then exit code 2', async () => {
    const bytes = readFileSync(recording);
    const path = join(folder, 'cut.hsrec');
    writeFileSync(path, bytes.subarray(0, bytes.length / 2));
    const { records } = await readAll(path);
    const { config, spans } = configuration('cut');
    const { child, code } = await hopspan(['replay', path, '--config', config]);
    assert.equal(code, 2);
    assert.match(
      child.stderr(),
      new RegExp(
        `^hopspan: .*cut.hsrec was cut off .*; the ${records.length} records before it are good\\.\n$`,
      ),
    );
    const expected = (await spansOf(records)).map(({ spanId }) => spanId);
    assert.ok(expected.length > 50);
    assert.deepEqual(
      (await readSpans(spans)).map(({ spanId }) => spanId),
      expected,
    );
  });

  test('without a configuration: waterfalls on the console', async () => {
    const { child, code } = await hopspan(['replay', recording]);
    assert.equal(code, 0);
    assert.equal(child.stdout().match(/^edge {2}tcp proxy/gm)?.length, 60);
  });

  test('by OTEL_* variables: to an OTLP endpoint, more spans than its queue holds', async () => {
    const path = join(folder, 'long.hsrec');
    await writeRecording(path, makeStream(6000));
    const sink = await startOtlpSink();
    const { child, code } = await hopspan(['replay', path], { OTEL_EXPORTER_OTLP_ENDPOINT: sink.endpoint });
    assert.deepEqual([code, child.stderr()], [0, '']);
    const ids = new Set(sink.received().map(({ spanId }) => spanId));
    assert.equal(ids.size, (await spansOf(makeStream(6000))).length);
    await sink.stop();
  });

  test('no such file; a foreign file', async () => {
    const missing = await hopspan(['replay', join(folder, 'none')]);
    assert.equal(missing.code, 2);
    assert.match(missing.child.stderr(), /none cannot be read: it does not exist/);
    const foreign = await hopspan(['replay', MAIN]);
    assert.equal(foreign.code, 2);
    assert.match(foreign.child.stderr(), /main\.ts does not begin as a recording does/);
  });
});

describe('record', () => {
  test('without an output, and with flags beside a configuration: usage, exit code 2', async () => {
    assert.equal((await hopspan(['record'])).code, 2);
    const both = await hopspan(['record', '--output', 'x', '--config', 'y', '--pid', '1']);
    assert.equal(both.code, 2);
    assert.match(both.child.stderr(), /'--pid <id>' cannot be used with option '--config <file>'/);
  });

  test('of two receivers: says why not', async () => {
    const { config } = configuration('two');
    const { child, code } = await hopspan(['record', '--output', join(folder, 'x'), '--config', config]);
    assert.equal(code, 2);
    assert.match(child.stderr(), /one receiver, and the pipelines use ebpf, ebpf\/second; say what to watch/);
  });
});
