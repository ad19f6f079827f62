import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRepeated } from '../../../src/native/repeated.ts';
import { createRandom } from '../../harness/random.ts';

function memoryOf(values: readonly Uint8Array[]): { u8: Uint8Array; u32: Uint32Array } {
  const u8 = new Uint8Array(Buffer.concat(values));
  return { u8, u32: new Uint32Array(u8.buffer) };
}

describe('repeated values', () => {
  test('the same bytes give the same object, wherever they stand', () => {
    const read = createRepeated((u8, at) => u8.slice(at, at + 16));
    const value = Uint8Array.from({ length: 16 }, (_, n) => n);
    const { u8, u32 } = memoryOf([value, new Uint8Array(16), value]);
    assert.deepEqual(read(u8, u32, 0), value);
    assert.equal(read(u8, u32, 0), read(u8, u32, 32));
    assert.notEqual(read(u8, u32, 0), read(u8, u32, 16));
    assert.deepEqual(read(u8, u32, 16), new Uint8Array(16));
  });

  test('are right however many there are, also where they differ in one bit', () => {
    const read = createRepeated((u8, at) => Buffer.from(u8.subarray(at, at + 16)).toString('hex'));
    const random = createRandom(5);
    const values = Array.from({ length: 3000 }, (_, n) => {
      const value = new Uint8Array(16);
      if (n % 2) value[n % 16] = 1 << (n % 8);
      else for (let byte = 0; byte < 16; byte++) value[byte] = Math.floor(random() * 256);
      return value;
    });
    const { u8, u32 } = memoryOf(values);
    for (let n = 0; n < 20_000; n++) {
      const place = Math.floor(random() * values.length);
      assert.equal(read(u8, u32, place * 16), Buffer.from(values[place] as Uint8Array).toString('hex'));
    }
  });
});
