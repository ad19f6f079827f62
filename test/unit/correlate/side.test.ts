import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  answerStart,
  answerTotal,
  endNs,
  isAnswered,
  mergeSides,
  requestStart,
  requestTotal,
} from '../../../src/correlate/side.ts';
import { SIDE_FLAGS } from '../../../src/records.gen.ts';
import { downstreamRecord, upstreamRecord } from '../../harness/side-record.ts';

describe('places in the byte streams', () => {
  test('requests are what downstream reads and upstream writes; answers the other way', () => {
    const d = downstreamRecord({ totalRead: 300, bytesRead: 100, totalWritten: 50, bytesWritten: 20 });
    const u = upstreamRecord({ totalWritten: 300, bytesWritten: 100, totalRead: 50, bytesRead: 20 });
    for (const record of [d, u]) {
      assert.deepEqual(
        [requestStart(record), requestTotal(record), answerStart(record), answerTotal(record)],
        [200, 300, 30, 50],
      );
    }
  });
});

describe('isAnswered', () => {
  test('an answer is written downstream and read from upstream', () => {
    assert.equal(isAnswered(downstreamRecord({ firstReadNs: 5 })), false);
    assert.equal(isAnswered(downstreamRecord({ firstWriteNs: 5 })), true);
    assert.equal(isAnswered(upstreamRecord({ firstWriteNs: 5 })), false);
    assert.equal(isAnswered(upstreamRecord({ firstReadNs: 5 })), true);
  });
});

describe('endNs', () => {
  test('is the first sign of the end', () => {
    assert.equal(endNs(downstreamRecord()), 0);
    assert.equal(endNs(downstreamRecord({ finSentNs: 30, finReceivedNs: 20, closedNs: 40 })), 20);
    assert.equal(endNs(downstreamRecord({ releasedNs: 50 })), 50);
  });
});

describe('mergeSides', () => {
  const first = downstreamRecord({
    ...{ exchange: 3, flags: SIDE_FLAGS.EXCHANGE | SIDE_FLAGS.SERVER_FIRST },
    ...{ arrivedNs: 0, firstReadNs: 0, lastReadNs: 0, firstWriteNs: 20, lastWriteNs: 25 },
    ...{ bytesRead: 0, totalRead: 0, bytesWritten: 10, totalWritten: 10, reads: 0, writes: 1 },
  });
  const second = downstreamRecord({
    ...{ exchange: 4, flags: SIDE_FLAGS.EXCHANGE | SIDE_FLAGS.ENDED, closedNs: 60 },
    ...{ arrivedNs: 30, firstReadNs: 31, lastReadNs: 33, firstWriteNs: 40, lastWriteNs: 45 },
    ...{ bytesRead: 5, totalRead: 5, bytesWritten: 7, totalWritten: 17, reads: 2, writes: 1 },
  });

  test('first moments of the first, last ones and totals of the last, sums of both', () => {
    assert.deepEqual(
      mergeSides([first, second]),
      downstreamRecord({
        ...{ exchange: 3, flags: SIDE_FLAGS.EXCHANGE | SIDE_FLAGS.SERVER_FIRST | SIDE_FLAGS.ENDED },
        ...{ arrivedNs: 30, firstReadNs: 31, lastReadNs: 33, firstWriteNs: 20, lastWriteNs: 45 },
        ...{ bytesRead: 5, totalRead: 5, bytesWritten: 17, totalWritten: 17, reads: 2, writes: 2 },
        closedNs: 60,
      }),
    );
  });

  test('one record is itself', () => assert.equal(mergeSides([first]), first));
});
