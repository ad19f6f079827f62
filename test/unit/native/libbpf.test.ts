import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { verifierExcerpt } from '../../../src/native/libbpf.ts';

/** The verifier writes into a buffer of zeros. */
const log = (text: string): Buffer => Buffer.concat([Buffer.from(text), Buffer.alloc(64)]);

describe("the verifier's complaint", () => {
  test('is the end of its log, without the walk and the statistics', () => {
    const walk = Array.from({ length: 100 }, (_, n) => `${n}: (bf) r${n % 10} = r1`);
    const text = [
      ...walk,
      'R1 invalid mem access',
      '',
      'processed 100 insns (limit 1000000)',
      'stack depth 64',
    ];
    const lines = verifierExcerpt(log(text.join('\n'))).split('\n');
    assert.equal(lines.at(-1), 'R1 invalid mem access');
    assert.equal(lines.length, 7); // one before, which ends the sentence that it follows
    assert.equal(lines[0], '');
  });

  test('is nothing where the kernel wrote nothing', () => {
    assert.equal(verifierExcerpt(Buffer.alloc(64)), '');
    assert.equal(verifierExcerpt(log('processed 3 insns\n')), '');
  });

  test('a log that fills its buffer is read to the end', () => {
    assert.equal(verifierExcerpt(Buffer.from('too long')), '\ntoo long');
  });
});
