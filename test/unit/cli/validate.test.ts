import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const MAIN = new URL('../../../src/cli/main.ts', import.meta.url).pathname;
const folder = temporaryFolder(after);

function validate(text: string) {
  writeFileSync(join(folder, 'hopspan.yaml'), text);
  const args = [MAIN, 'validate', '--config', 'hopspan.yaml'];
  const env = { PATH: process.env.PATH };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder,
    env,
    encoding: 'utf8',
  });
  return { status, out: stdout.split('\n').slice(0, -1), err: stderr.split('\n').slice(0, -1) };
}

const VALID = `receivers:
  ebpf: { targets: [{ executable: envoy }, { listen_port: 8080 }] }
  otlp: { protocols: { grpc: } }
processors:
  hop_parent:
  batch:
exporters:
  otlp: { endpoint: "http://collector:4317", sending_queue: { directory: queue } }
  file: { path: spans.jsonl }
  console:
extensions: { health_check: }
service:
  extensions: [health_check]
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { port: 9000 } } } }] } }
  pipelines:
    traces: { receivers: [ebpf, otlp], processors: [hop_parent, batch], exporters: [otlp] }
    traces/local: { receivers: [ebpf], exporters: [file] }
`;

test('what will run, and what will not', () => {
  assert.deepEqual(validate(VALID), {
    status: 0,
    out: [
      'hopspan.yaml is valid',
      'traces: ebpf (executable envoy, listen_port 8080), otlp (grpc 127.0.0.1:4317) → hop_parent → batch → otlp (http://collector:4317, queue in queue)',
      'traces/local: ebpf (executable envoy, listen_port 8080) → file (spans.jsonl)',
      'telemetry: metrics at 127.0.0.1:9000, health at 127.0.0.1:13133',
    ],
    err: [
      'hopspan: warning: hopspan.yaml:10:3: the exporter "console" is used by no pipeline and is not started',
    ],
  });
});

test('every mistake, and the status of a wrong configuration', () => {
  assert.deepEqual(validate(VALID.replace('envoy', 'bin/envoy').replace('[otlp] }', '[otlq] }')), {
    status: 2,
    out: [],
    err: [
      'hopspan: hopspan.yaml:2:35: found "bin/envoy" for receivers.ebpf.targets[0].executable, expected the name of an executable without its folder, such as envoy',
      'hopspan.yaml:16:85: found the exporter "otlq", which is not defined under exporters, expected otlp, file or console; did you mean "otlp"?',
    ],
  });
});

test('what is named and cannot be used', () => {
  const { status, out, err } = validate(VALID.replace('spans.jsonl', 'nowhere/spans.jsonl'));
  assert.deepEqual([status, out], [2, []]);
  assert.match(
    err.at(-1) ?? '',
    /^hopspan: hopspan\.yaml:9:17: found "nowhere\/spans\.jsonl" for exporters\.file\.path, where /,
  );
});
