import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type CapabilitySets, type ProcessImage, processImage } from '../../../src/native/process-image.ts';
import {
  CAPABILITIES,
  type Credentials,
  maskOf,
  namesOf,
  parseCredentials,
} from '../../../src/privileges/capabilities.ts';
import { giveUp, hasMoreThan, withOnly } from '../../../src/privileges/give-up.ts';

const KEPT = maskOf('CAP_SYS_PTRACE', 'CAP_DAC_READ_SEARCH');
const FIVE = KEPT | maskOf('CAP_BPF', 'CAP_PERFMON', 'CAP_NET_ADMIN');
const ALL = (1n << 41n) - 1n;

const having = (uid: number, mask: bigint): Credentials => ({
  ...{ uid, effective: mask, permitted: mask, bounding: mask },
  noNewPrivileges: false,
});

/** Notes what is asked of the kernel, which refuses the calls that are named. */
function noting(refused: readonly (keyof ProcessImage)[] = []) {
  const calls: string[] = [];
  const note = (name: keyof ProcessImage, text: string): boolean => {
    calls.push(`${name} ${text}`.trim());
    return !refused.includes(name);
  };
  const image: ProcessImage = {
    ...processImage,
    setCapabilities: ({ effective, permitted, inheritable }: CapabilitySets) =>
      note('setCapabilities', [effective, permitted, inheritable].map(String).join(' ')),
    dropFromBounding: (each) => note('dropFromBounding', String(each)),
    setAmbient: (each) => note('setAmbient', each.join(' ')),
    setNoNewPrivileges: () => note('setNoNewPrivileges', ''),
  };
  return { image, calls };
}

describe('giving up', () => {
  test("a user's programs begin with what is ambient, so that comes first", () => {
    const { image, calls } = noting();
    assert.ok(giveUp(image, having(999, FIVE), KEPT));
    assert.deepEqual(calls, [
      `setCapabilities ${FIVE} ${FIVE} ${KEPT}`,
      'setAmbient 2 19',
      'setNoNewPrivileges',
      `setCapabilities ${KEPT} ${KEPT} ${KEPT}`,
    ]);
  });

  test("root's begin with what is permitted; the bounding set goes where CAP_SETPCAP is", () => {
    const { image, calls } = noting();
    assert.ok(giveUp(image, having(0, ALL), KEPT));
    assert.equal(calls[0], `setCapabilities ${ALL} ${ALL} 0`);
    assert.equal(calls[1], 'setAmbient');
    assert.equal(calls.filter((call) => call.startsWith('dropFromBounding')).length, 39);
    assert.equal(calls.at(-1), `setCapabilities ${KEPT} ${KEPT} 0`);
  });

  for (const call of ['setCapabilities', 'setAmbient', 'setNoNewPrivileges'] as const) {
    test(`is told to have failed where the kernel refuses ${call}, and goes no further`, () => {
      const { image, calls } = noting([call]);
      assert.equal(giveUp(image, having(999, FIVE), KEPT), false);
      assert.ok(calls.at(-1)?.startsWith(call));
    });
  }

  test('is not needed where there is nothing to give up', () => {
    assert.ok(hasMoreThan(having(999, FIVE), KEPT));
    assert.ok(hasMoreThan(having(999, KEPT), KEPT), 'new privileges can be had');
    assert.ok(!hasMoreThan({ ...having(999, KEPT), noNewPrivileges: true }, KEPT));
    assert.ok(!hasMoreThan({ ...having(999, KEPT), bounding: FIVE, noNewPrivileges: true }, KEPT));
  });
});

test('trying with less leaves things as they were, also when it fails', () => {
  const { image, calls } = noting();
  assert.throws(() =>
    withOnly(image, having(0, FIVE), KEPT | maskOf('CAP_CHOWN'), () => {
      throw new Error('no');
    }),
  );
  assert.deepEqual(calls, [`setCapabilities ${KEPT} ${FIVE} 0`, `setCapabilities ${FIVE} ${FIVE} 0`]);
});

describe('capabilities', () => {
  test("are numbered as in the kernel's header", () => {
    const header = readFileSync('/usr/include/linux/capability.h', 'utf8');
    const numbers = [...header.matchAll(/^#define (CAP_\w+)\s+(\d+)$/gm)];
    assert.deepEqual(
      numbers.map(([, name]) => name),
      [...CAPABILITIES],
    );
    assert.deepEqual(
      numbers.map(([, , number]) => Number(number)),
      CAPABILITIES.map((_, index) => index),
    );
  });

  test('have names, also those of a newer kernel', () => {
    assert.deepEqual(namesOf(KEPT), ['CAP_DAC_READ_SEARCH', 'CAP_SYS_PTRACE']);
    assert.deepEqual(namesOf(1n << 50n), ['CAP_50']);
    assert.deepEqual(namesOf(0n), []);
  });

  test('are read from /proc/PID/status', () => {
    const text =
      'Uid:\t1\t2\t3\t4\nCapPrm:\t0000000000000003\nCapEff:\t0000000000000001\nCapBnd:\t0000000000000007\nNoNewPrivs:\t1\n';
    assert.deepEqual(parseCredentials(text), {
      ...{ uid: 2, effective: 1n, permitted: 3n, bounding: 7n },
      noNewPrivileges: true,
    });
    assert.equal(parseCredentials('Name:\tkthreadd\n'), undefined);
  });
});
