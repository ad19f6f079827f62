import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkNamed } from '../../../src/config/files.ts';
import { makeCertificate } from '../../harness/certificate.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';
import { parse, yaml, yamlWithExporter } from './harness.ts';

const folder = temporaryFolder(after);
const own = makeCertificate(after);
const other = makeCertificate(after);
const missing = join(folder, 'missing.pem');
const noPem = join(folder, 'no.pem');
writeFileSync(noPem, 'not PEM');
mkdirSync(join(folder, 'directory'));

const TLS = 'endpoint: "https://localhost:4317"';
const named = (text: string): string[] => {
  const { config, line } = parse(text);
  return checkNamed(config, line);
};
const otlp = (value: string): string => yamlWithExporter('otlp', value);

/** Values of the exporter `otlp`, and what they must give, less the `f.yaml:2:` in front. */
const OTLP: readonly (readonly [string, ...string[]])[] = [
  [`{${TLS}}`],
  [
    `{${TLS}, tls: {ca_file: ${own.certFile}, cert_file: ${own.certFile}, key_file: ${own.keyFile}}, sending_queue: {directory: ${folder}/a/b}}`,
  ],
  [`{endpoint: "http://localhost:4317", tls: {ca_file: ${missing}}}`],
  [
    `{${TLS}, tls: {ca_file: ${missing}}}`,
    `found "${missing}" for exporters.otlp.tls.ca_file, which does not exist, expected a PEM file`,
  ],
  [
    `{${TLS}, tls: {cert_file: ${missing}, key_file: ${folder}}}`,
    `found "${missing}" for exporters.otlp.tls.cert_file, which does not exist, expected a PEM file`,
    `found "${folder}" for exporters.otlp.tls.key_file, which cannot be read (EISDIR), expected a PEM file`,
  ],
  [
    `{${TLS}, sending_queue: {directory: ${noPem}}}`,
    `found "${noPem}" for exporters.otlp.sending_queue.directory, where ${noPem} is no directory, expected a directory that can be written to`,
  ],
  [
    `{${TLS}, sending_queue: {directory: ${noPem}/queue}}`,
    `found "${noPem}/queue" for exporters.otlp.sending_queue.directory, where ${noPem} is no directory, expected a directory that can be written to`,
  ],
];

for (const [value, ...expected] of OTLP) {
  test(`${value.slice(0, 100)}: ${expected.length}`, () => {
    assert.deepEqual(
      named(otlp(value)).map((line) => line.replace(/^f\.yaml:2:\d+: /, '')),
      expected,
    );
  });
}

test('PEM files that are none, or do not belong together', () => {
  for (const [cert, key] of [
    [noPem, own.keyFile],
    [own.certFile, other.keyFile],
  ]) {
    const [line, ...others] = named(otlp(`{${TLS}, tls: {cert_file: ${cert}, key_file: ${key}}}`));
    assert.match(
      line ?? '',
      /^f\.yaml:2:\d+: found .* for exporters\.otlp\.tls, of which TLS can make nothing \(.+\), expected PEM files that belong together$/,
    );
    assert.deepEqual(others, []);
  }
});

test('the files of an exporter over HTTP are looked at, too', () => {
  const text = yamlWithExporter('otlphttp', `{endpoint: "https://localhost", tls: {ca_file: ${missing}}}`);
  assert.equal(named(text).length, 1);
});

test('a file that is written to', () => {
  assert.deepEqual(named(yamlWithExporter('file', `{path: ${folder}/spans.jsonl}`)), []);
  assert.deepEqual(named(yamlWithExporter('file', `{path: ${folder}/directory}`)), [
    `f.yaml:2:26: found "${folder}/directory" for exporters.file.path, which is a directory, expected a file that can be written to`,
  ]);
  assert.deepEqual(named(yamlWithExporter('file', `{path: ${folder}/nowhere/spans.jsonl}`)), [
    `f.yaml:2:26: found "${folder}/nowhere/spans.jsonl" for exporters.file.path, where ${folder}/nowhere is no directory, expected a file that can be written to`,
  ]);
});

test('a process that must run already', () => {
  const target = (pid: number): string => yaml({ receivers: `{ebpf: {targets: [{pid: ${pid}}]}}` });
  assert.deepEqual(named(target(process.pid)), []);
  assert.deepEqual(named(target(4_194_304)), [
    'f.yaml:1:36: found 4194304 for receivers.ebpf.targets[0].pid, where there is no such process, expected one that runs',
  ]);
});
