import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createCorrelator } from '../../../src/correlate/correlator.ts';
import type { Side } from '../../../src/correlate/side.ts';
import type { KernelRecord } from '../../../src/receiver/kernel-record.ts';
import { KIND } from '../../../src/records.gen.ts';
import { readAll } from '../../harness/recordings.ts';

/*
 * Envoy with TLS on both sides, two workers, 40 requests at once, bodies and answers of random length. The JSON file has
 * the request that each exchange carried, by `connection/exchange`: from the ports and the order on them that client and
 * backend saw.
 */
const FOLDER = new URL('../../fixtures/tls/', import.meta.url);
const IDS = JSON.parse(readFileSync(new URL('envoy-both-sides.json', FOLDER), 'utf8')) as Record<
  string,
  number
>;
const REQUESTS = 250;

async function verdictOf(change: (record: KernelRecord) => KernelRecord) {
  const { records, error } = await readAll(new URL('envoy-both-sides.hsrec', FOLDER).pathname);
  assert.equal(error, undefined);
  const idOf = (side: Side): number | undefined => IDS[`${side.connection}/${side.exchange}`];
  const verdict = { right: 0, wrong: 0, apart: 0 };
  const correlator = createCorrelator(({ downstream, upstream }) => {
    if (!downstream || idOf(downstream) === undefined) return;
    if (!upstream) verdict.apart++;
    else verdict[idOf(upstream) === idOf(downstream) ? 'right' : 'wrong']++;
  });
  for (const record of records) correlator.push(change(record));
  while (!correlator.flush(10));
  return verdict;
}

test('every request that was sent while turns were counted has its own upstream exchange', async () => {
  const { right, wrong, apart } = await verdictOf((record) => record);
  assert.equal(wrong, 0);
  assert.equal(right, REQUESTS);
  assert.equal(apart, 0);
});

test('requests and answers that are all as long as each other are paired by turns alone, or apart', async () => {
  const { right, wrong, apart } = await verdictOf((record) => {
    if (record.kind !== KIND.SIDE) return record;
    const overhead = 17;
    return {
      ...record,
      tlsBytesRead: record.tlsRecordsRead && 1000 + overhead * record.tlsRecordsRead,
      tlsBytesWritten: record.tlsRecordsWritten && 1000 + overhead * record.tlsRecordsWritten,
    };
  });
  assert.equal(wrong, 0);
  assert.ok(right > 0);
  assert.ok(apart > 50, 'most of them cannot be told apart');
});
