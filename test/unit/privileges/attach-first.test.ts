import assert from 'node:assert/strict';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, describe, test } from 'node:test';
import { defaultConfig } from '../../../src/config/defaults.ts';
import { type ProcessImage, processImage } from '../../../src/native/process-image.ts';
import { attachFirst, trialsOf } from '../../../src/privileges/attach-first.ts';
import { ownCredentials } from '../../../src/privileges/capabilities.ts';
import { takeHandover } from '../../../src/privileges/handover.ts';
import { createLogger, DEFAULT_LOGS } from '../../../src/telemetry/log.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

/** A log's lines. */
function logLines() {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk).trimEnd());
      done();
    },
  });
  return { stream, lines: () => written };
}

/** Nothing changes this process. */
const INERT: ProcessImage = {
  ...processImage,
  setCapabilities: () => true,
  dropFromBounding: () => true,
  setAmbient: () => true,
  setNoNewPrivileges: () => true,
  keepDescriptor: () => {},
  replace: () => 'ENOENT',
};

describe('where nothing can be given up, hopspan goes on, with one warning', () => {
  const config = { ...defaultConfig({}).config, receivers: [] };
  for (const [what, image, reason] of [
    ['no program can be started', INERT, 'reason=ENOENT'],
    [
      'the kernel refuses',
      { ...INERT, setNoNewPrivileges: () => false },
      'reason="the kernel does not let it"',
    ],
  ] as const) {
    test(what, () => {
      const { stream, lines } = logLines();
      assert.deepEqual(attachFirst(config, { log: createLogger(DEFAULT_LOGS, stream) }, image), {});
      assert.equal(lines().length, 1);
      assert.match(lines()[0] ?? '', /^hopspan: warning: capabilities could not be given up: .* reason=/);
      assert.ok(lines()[0]?.endsWith(reason));
    });
  }
});

test('what one image leaves, the next one finds, once', () => {
  const left: NodeJS.ProcessEnv[] = [];
  const kept: number[] = [];
  const { stream } = logLines();
  const image: ProcessImage = {
    ...INERT,
    keepDescriptor: (fd, keep) => void (keep && kept.push(fd)),
    replace(file, args, env) {
      assert.equal(file, process.execPath);
      assert.deepEqual(args, [...process.execArgv, ...process.argv.slice(1)]);
      /* A descriptor of its own, as another image would have one. */
      const fd = openSync(`/proc/self/fd/${env.HOPSPAN_HANDOVER}`, 'r');
      const variables = { ...env, HOPSPAN_HANDOVER: String(fd) };
      left.push(variables);
      assert.deepEqual(takeHandover(variables, INERT), { probes: {}, configText: 'ä: 1\n' });
      assert.equal(takeHandover(variables, INERT), undefined);
      return 'EPERM';
    },
  };
  const config = { ...defaultConfig({}).config, receivers: [] };
  attachFirst(config, { log: createLogger(DEFAULT_LOGS, stream), configText: 'ä: 1\n' }, image);
  assert.equal(left.length, 1);
  assert.deepEqual(kept, [0, 1, 2]);
});

describe('where a file would be made', () => {
  const folder = temporaryFolder(after);
  const { canWrite } = trialsOf(INERT, ownCredentials(), []);
  mkdirSync(join(folder, 'here'));
  writeFileSync(join(folder, 'file'), '');

  test('is the nearest folder that exists', () => {
    assert.ok(canWrite(join(folder, 'here/and/further/down'), 0n));
    assert.ok(canWrite(join(folder, 'file'), 0n));
  });

  test('is nowhere below a file', () => {
    assert.ok(!canWrite(join(folder, 'file/below'), 0n));
  });
});
