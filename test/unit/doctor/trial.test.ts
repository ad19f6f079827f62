import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatFinding } from '../../../src/doctor/finding.ts';
import { checkTrial } from '../../../src/doctor/trial.ts';
import { HopspanError } from '../../../src/errors.ts';

const options = { maxConnections: 64, ringBufferBytes: 65_536, maxHeadBytes: 8192 };
const refused = (message: string) => () => {
  throw new HopspanError('BPF_LOAD_FAILED', message);
};

describe('trial', () => {
  test('gets the sizes of the configuration and says which hooks there are', () => {
    const seen: unknown[] = [];
    const { finding } = checkTrial((given) => {
      seen.push(given);
      return { acceptHook: true, freezeHooks: true, turns: undefined, needs: [] };
    }, options);
    assert.deepEqual(seen, [options]);
    assert.equal(finding.status, 'ok');
    assert.match(finding.found, /raw tracepoints by BTF, accept hook by cgroup/);
  });

  test('without the accept hook it is a warning', () => {
    const trialled = { acceptHook: false, freezeHooks: true, turns: undefined, needs: [] };
    const { finding } = checkTrial(() => trialled, options);
    assert.equal(finding.status, 'warn');
    assert.match(finding.found, /no accept hook/);
  });

  test('without the tracepoints of freezes it is a warning, where they are wanted', () => {
    const trialled = { acceptHook: true, freezeHooks: false, turns: undefined, needs: [] };
    const { finding } = checkTrial(() => trialled, { ...options, hostEvents: true });
    assert.equal(finding.status, 'warn');
    assert.match(finding.found, /frozen processes/);
    assert.equal(checkTrial(() => trialled, { ...options, hostEvents: false }).finding.status, 'ok');
  });

  test('a refusal has the lines of the verifier and not the advice to run this command', () => {
    const { finding } = checkTrial(
      refused(
        'the kernel refused the probes (EINVAL); run "hopspan doctor" for the reason.\nR1 invalid mem access\n',
      ),
      options,
    );
    assert.deepEqual(formatFinding(finding).slice(0, 2), [
      'fail  probes            the kernel refused the probes (EINVAL)',
      '      | R1 invalid mem access',
    ]);
    assert.match(formatFinding(finding).at(-1) ?? '', /^ {6}this kernel differs .*uname -r/);
  });

  test('a refusal of rights and one of memory have other remedies', () => {
    const { finding: rights } = checkTrial(
      refused('the kernel refused the probes (EPERM); run "hopspan doctor" for the reason.'),
      options,
    );
    assert.match(rights.status === 'fail' ? rights.remedy : '', /seccomp/);
    const { finding: memory } = checkTrial(
      refused('the kernel refused the probes (ENOMEM); run "hopspan doctor" for the reason.'),
      options,
    );
    assert.match(memory.status === 'fail' ? memory.remedy : '', /max_connections/);
  });

  test("a mistake in the program is not taken for the machine's", () => {
    const wrong = () => {
      throw new TypeError('x is not a function');
    };
    assert.throws(() => checkTrial(wrong, options), TypeError);
  });
});

test('nothing that was found can write to the terminal', () => {
  const [line] = formatFinding({ status: 'ok', item: 'target', found: '/tmp/\x1b[2Jenvoy' });
  assert.equal(line, 'ok    target            /tmp/\\x1b[2Jenvoy');
});
