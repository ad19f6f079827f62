import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { processImage } from '../../src/native/process-image.ts';
import { type UprobeKind, uprobeKind } from '../../src/native/uprobe.ts';
import { trialsOf } from '../../src/privileges/attach-first.ts';
import { maskOf, ownCredentials } from '../../src/privileges/capabilities.ts';
import { neededLater, type Trials } from '../../src/privileges/needed.ts';
import { type AttachedProbes, attachProbes, openProbes, type Probes } from '../../src/receiver/probes.ts';
import { tryTurns } from '../../src/receiver/turns.ts';

const OPTIONS = { maxConnections: 64, ringBufferBytes: 65_536, maxHeadBytes: 0 };
const TURNS_ONLY = { watches: false, countsTurns: true, ports: [], written: [] };

for (const kind of ['multi', 'perf'] as const satisfies readonly UprobeKind[]) {
  const skip = kind === 'multi' && uprobeKind() !== 'multi' ? 'a kernel before 6.10' : false;
  describe(`turns of an event loop by ${kind}`, { skip }, () => {
    let attached: AttachedProbes;
    let probes: Probes;
    let trials: Trials;
    before(() => {
      attached = attachProbes(OPTIONS, kind);
      probes = openProbes(attached);
      trials = trialsOf(processImage, ownCredentials(), [attached]);
    });
    after(() => probes?.close());

    test('can be counted by root', () => assert.equal(tryTurns(probes), undefined));

    test('a function that is not there is told', () => {
      assert.equal(probes.countTurns(process.pid, '/proc/self/exe', 'no_such_function'), 'ENOENT');
    });

    test('takes what the kernel asks for, no more is kept, and trying leaves this thread as it was', () => {
      const needs = neededLater(TURNS_ONLY, ownCredentials().permitted, trials).map(
        ({ capability }) => capability,
      );
      if (kind === 'multi') assert.deepEqual(needs, []);
      else assert.match(needs.join(), /^CAP_(?:PERFMON|SYS_ADMIN)$/);
      assert.equal(trials.canCountTurns(maskOf(...needs)), true);
      assert.equal(ownCredentials().effective, ownCredentials().permitted);
    });
  });
}

test('kernels before 6.10 have no multi link that sees all threads', () => {
  for (const [release, kind] of [
    ['6.18.44-fc', 'multi'],
    ['6.10.0', 'multi'],
    ['7.0', 'multi'],
    ['6.9.12', 'perf'],
    ['6.3.0-1-amd64', 'perf'],
    ['5.15', 'perf'],
    ['', 'perf'],
  ] as const)
    assert.equal(uprobeKind(release), kind, release);
});
