import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMessages } from '../../../../src/receiver/http1/messages.ts';
import { MESSAGE_FLAGS, MESSAGE_RECORD, SIDE_FLAGS } from '../../../../src/records.gen.ts';
import { sideRecord } from '../../../harness/side-record.ts';

const { OVER, ANSWER_MESSAGE } = MESSAGE_FLAGS;

/** A record with its head bytes as the ring holds it, at byte 8. */
function inRing(fields: { connection: number; flags: number; number?: number; bytes?: number }, head = '') {
  const bytes = Buffer.alloc((8 + MESSAGE_RECORD.size + head.length + 7) & ~7);
  const set = (offset: number, value: number): void => void bytes.writeUInt32LE(value, 8 + offset);
  set(MESSAGE_RECORD.connection, fields.connection);
  set(MESSAGE_RECORD.flags, fields.flags);
  set(MESSAGE_RECORD.number, fields.number ?? 1);
  set(MESSAGE_RECORD.bytes, fields.bytes ?? head.length);
  set(MESSAGE_RECORD.headBytes, head.length);
  bytes.write(head, 8 + MESSAGE_RECORD.size, 'latin1');
  const buffer = new Uint8Array(bytes).buffer;
  return {
    u8: new Uint8Array(buffer),
    u16: new Uint16Array(buffer),
    u32: new Uint32Array(buffer),
  };
}

test('a whole message at once', () => {
  const messages = createMessages();
  const head = 'GET /x HTTP/1.1\r\nHost: a\r\n\r\n';
  const message = messages.push(inRing({ connection: 7, flags: OVER }, head), 8);
  assert.equal(message?.connection, 7);
  assert.equal(message?.path, '/x');
  assert.equal(message?.bytes, head.length);
});

test('a head in parts, both directions at the same time', () => {
  const messages = createMessages();
  assert.equal(messages.push(inRing({ connection: 1, flags: 0 }, 'GET /lo'), 8), undefined);
  assert.equal(messages.push(inRing({ connection: 1, flags: ANSWER_MESSAGE }, 'HTTP/1.'), 8), undefined);
  assert.equal(messages.push(inRing({ connection: 2, flags: 0 }, 'PUT /b'), 8), undefined);
  assert.equal(messages.push(inRing({ connection: 1, flags: 0 }, 'ng HTTP/1.1\r\n\r\n'), 8), undefined);
  const request = messages.push(inRing({ connection: 1, flags: OVER, bytes: 5000 }), 8);
  assert.equal(request?.path, '/long');
  assert.equal(request?.bytes, 5000);
  const answer = messages.push(
    inRing({ connection: 1, flags: ANSWER_MESSAGE | OVER }, '0 200 OK\r\n\r\n'),
    8,
  );
  assert.equal(answer?.version, '1.0');
  assert.deepEqual(
    messages.flush().map(({ connection }) => connection),
    [2],
  );
});

test('what a connection leaves unfinished comes when it ends, or is HTTP no more', () => {
  for (const flags of [SIDE_FLAGS.HTTP1 | SIDE_FLAGS.ENDED, SIDE_FLAGS.EXCHANGE]) {
    const messages = createMessages();
    messages.push(inRing({ connection: 1, flags: 0 }, 'GET /x HTTP/1.1\r\n'), 8);
    assert.deepEqual(messages.leftBy(sideRecord({ connection: 1, flags: SIDE_FLAGS.HTTP1 })), []);
    const [left, ...more] = messages.leftBy(sideRecord({ connection: 1, flags }));
    assert.equal(left?.path, '/x');
    assert.equal((left?.flags ?? 0) & OVER, 0);
    assert.deepEqual([...more, ...messages.flush()], []);
  }
});
