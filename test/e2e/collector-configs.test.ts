import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { otelcolBinary, readOtelcolConfig, validateOtelcolConfig } from '../harness/otelcol.ts';
import { stopLeftovers } from '../harness/process.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';

after(stopLeftovers);

/** Not to be had as a Go module; the Collector's image has it. */
const MAY_LACK = ['connectors/service_graph'];
const ROOT = new URL('../../', import.meta.url).pathname;
const FILES = globSync('{otel-config,deploy}/**/collector*.yaml', { cwd: ROOT }).toSorted();

describe('a real Collector', () => {
  const found = otelcolBinary();
  const skip = 'missing' in found ? `no Collector on this machine: ${found.missing}` : false;

  it('is asked about every configuration', () => {
    assert.deepEqual(
      FILES,
      ['balancer', 'durable', ''].map((name) => `otel-config/collector${name && `-${name}`}.yaml`),
    );
  });

  for (const file of FILES) {
    const read = skip ? undefined : readOtelcolConfig(file);
    const lacking = read?.lacking ?? [];
    const less = lacking.length > 0 ? `, less what this Collector lacks: ${lacking.join(', ')}` : '';
    it(`takes ${file}${less}`, { skip }, () => {
      assert.ok(read);
      assert.deepEqual(
        lacking.filter((part) => !MAY_LACK.includes(part)),
        [],
      );
      validateOtelcolConfig(temporaryFolder(after), read.config);
    });
  }

  it('refuses a key that it does not know', { skip }, () => {
    const { config } = readOtelcolConfig('otel-config/collector-durable.yaml');
    config.receivers = { otlp: { protocol: {} } };
    assert.throws(() => validateOtelcolConfig(temporaryFolder(after), config), /has invalid keys: protocol/);
  });
});
