import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseConfig } from '../../../src/config/load.ts';
import { type Capability, maskOf } from '../../../src/privileges/capabilities.ts';
import { neededLater, type Trials, type Uses, usesOf } from '../../../src/privileges/needed.ts';

const ALL = (1n << 41n) - 1n;
const WATCHING: Uses = { watches: true, countsTurns: true, ports: [13_133], written: ['/var/spans.jsonl'] };
/** A kernel and files that ask for nothing. */
const FREE: Trials = { canCountTurns: () => true, canWrite: () => true, firstFreePort: 1024 };

const kept = (uses: Partial<Uses>, held = ALL, trials: Partial<Trials> = {}): Capability[] =>
  neededLater({ ...WATCHING, ...uses }, held, { ...FREE, ...trials }).map(({ capability }) => capability);

describe('what is needed after attaching', () => {
  test('to look at processes of other users, as far as it is there', () => {
    assert.deepEqual(kept({}), ['CAP_SYS_PTRACE', 'CAP_DAC_READ_SEARCH']);
    assert.deepEqual(kept({}, maskOf('CAP_SYS_PTRACE', 'CAP_DAC_OVERRIDE')), [
      'CAP_SYS_PTRACE',
      'CAP_DAC_OVERRIDE',
    ]);
    assert.deepEqual(kept({}, maskOf('CAP_BPF', 'CAP_PERFMON', 'CAP_NET_ADMIN')), []);
    assert.deepEqual(kept({ watches: false }), []);
  });

  test('a port below those that are free', () => {
    assert.deepEqual(kept({ ports: [0, 443] }).at(-1), 'CAP_NET_BIND_SERVICE');
    assert.deepEqual(kept({ ports: [443] }, maskOf('CAP_BPF')), []);
    assert.equal(kept({ ports: [443] }, ALL, { firstFreePort: 0 }).length, 2);
  });

  test("a file of another user's, where the capability helps", () => {
    const override = maskOf('CAP_DAC_OVERRIDE');
    const canWrite: Trials['canWrite'] = (_path, mask) => (mask & override) !== 0n;
    assert.deepEqual(kept({}, ALL, { canWrite }).at(-1), 'CAP_DAC_OVERRIDE');
    assert.equal(kept({}, ALL & ~override, { canWrite }).length, 2);
    assert.equal(kept({}, ALL, { canWrite: () => false }).length, 2, 'a read-only file system');
  });

  for (const capability of ['CAP_PERFMON', 'CAP_SYS_ADMIN'] as const) {
    test(`${capability} on a kernel that asks for it for uprobes`, () => {
      const canCountTurns: Trials['canCountTurns'] = (mask) => (mask & maskOf(capability)) !== 0n;
      assert.deepEqual(kept({}, ALL, { canCountTurns }).at(-1), capability);
      assert.equal(kept({ countsTurns: false }, ALL, { canCountTurns }).length, 2);
      assert.equal(kept({}, ALL & ~maskOf(capability), { canCountTurns }).length, 2);
    });
  }
});

test('a configuration uses the ports and files that it names', () => {
  const yaml = `
receivers:
  ebpf: { turns: "off" }
  otlp: { protocols: { grpc: { endpoint: 127.0.0.1:1 }, http: { endpoint: 127.0.0.1:2 } } }
exporters:
  file: { path: /a/spans }
  otlp: { endpoint: "unix:///b/socket", sending_queue: { directory: /c } }
extensions: { health_check: { endpoint: 127.0.0.1:3 } }
service:
  extensions: [health_check]
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { port: 4 } } } }] } }
  pipelines: { traces: { receivers: [ebpf, otlp], exporters: [file, otlp] } }`;
  const { config } = parseConfig(yaml, 'hopspan.yaml', {});
  const { ports, written, ...rest } = usesOf(config, ['/d/record']);
  assert.deepEqual(rest, { watches: true, countsTurns: false });
  assert.deepEqual(ports.toSorted(), [1, 2, 3, 4]);
  assert.deepEqual(written.toSorted(), ['/a/spans', '/b/socket', '/c', '/c/otlp.queue', '/d/record']);
});
