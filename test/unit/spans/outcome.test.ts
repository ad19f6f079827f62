import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Hop } from '../../../src/correlate/hop.ts';
import { SIDE_FLAGS, type SideRecord } from '../../../src/records.gen.ts';
import { OUTCOMES, outcomeOf, whoClosed } from '../../../src/spans/outcome.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../../harness/side-record.ts';

/** include/net/tcp_states.h */
const TCP = { ESTABLISHED: 1, SYN_SENT: 2, FIN_WAIT1: 4, CLOSE_WAIT: 8, LAST_ACK: 9 } as const;
const ERRNO = {
  EPIPE: 32,
  ENETUNREACH: 101,
  ECONNRESET: 104,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
};

type Fields = Partial<SideRecord>;

/* Each side in the words of the table below; times are nanoseconds of an exchange from 200 on. */
const asked: Fields = {
  ...{
    flags: SIDE_FLAGS.EXCHANGE | SIDE_FLAGS.ENDED,
    exchange: 1,
    peer: 2,
    firstReadNs: 210,
    lastReadNs: 210,
  },
  ...{ bytesRead: 500, totalRead: 500 },
};
const answered: Fields = {
  ...{ ...asked, firstWriteNs: 400, lastWriteNs: 400, bytesWritten: 900, totalWritten: 900 },
};
const passedOn: Fields = {
  ...{
    flags: SIDE_FLAGS.EXCHANGE | SIDE_FLAGS.ENDED,
    exchange: 1,
    peer: 1,
    firstWriteNs: 220,
    lastWriteNs: 220,
  },
  ...{ bytesWritten: 500, totalWritten: 500 },
};
const gaveAnswer: Fields = {
  ...{ ...passedOn, firstReadNs: 390, lastReadNs: 390, bytesRead: 900, totalRead: 900 },
};
const peerFin = (ns: number): Fields => ({
  finReceivedNs: ns,
  finSentNs: ns + 50,
  closedNs: ns + 60,
  closedFrom: TCP.LAST_ACK,
});
const peerReset = (ns: number): Fields => ({
  closedNs: ns,
  closedFrom: TCP.ESTABLISHED,
  error: ERRNO.ECONNRESET,
});
const ownFin = (ns: number): Fields => ({ finSentNs: ns, closedNs: ns + 10, closedFrom: TCP.FIN_WAIT1 });
const ownReset = (ns: number): Fields => ({ closedNs: ns, closedFrom: TCP.ESTABLISHED });
const failed = (error: number): Fields => ({
  establishedNs: 0,
  closedNs: 300,
  closedFrom: TCP.SYN_SENT,
  error,
});

interface Row {
  readonly what: string;
  readonly d?: readonly Fields[];
  readonly u?: readonly Fields[];
  readonly hop?: Partial<Hop>;
  /** Outcome, then who ended first and how. */
  readonly is: string;
}

const ROWS: readonly Row[] = [
  { what: 'it goes on', d: [answered], u: [gaveAnswer], hop: { end: false }, is: 'ok' },
  {
    what: 'client FIN after the answer',
    d: [answered, peerFin(500)],
    u: [gaveAnswer, ownFin(520)],
    is: 'ok client fin',
  },
  {
    what: 'client RST after the answer',
    d: [answered, peerReset(500)],
    u: [gaveAnswer, ownReset(520)],
    is: 'ok client reset',
  },
  {
    what: 'server FIN after the answer',
    d: [answered, ownFin(520)],
    u: [gaveAnswer, peerFin(500)],
    is: 'ok upstream fin',
  },
  {
    what: 'proxy FIN after the answer',
    d: [answered, ownFin(500)],
    u: [gaveAnswer, ownFin(500)],
    is: 'ok proxy fin',
  },
  {
    what: 'client FIN before the answer',
    d: [asked, peerFin(300)],
    u: [passedOn, ownFin(320)],
    is: 'client_aborted client fin',
  },
  {
    what: 'client RST before the answer',
    d: [asked, peerReset(300)],
    u: [passedOn, ownReset(320)],
    is: 'client_aborted client reset',
  },
  {
    what: 'client RST with a request that nobody read',
    ...{ d: [{ exchange: 0, unreadBytes: 500, peer: 0 }, peerReset(300)], u: [ownFin(320)] },
    is: 'client_aborted client reset',
  },
  {
    what: 'client RST in mid-answer, some of it read and not written',
    ...{ d: [answered, peerReset(500)], u: [gaveAnswer, { bytesRead: 2000 }, ownReset(520)] },
    is: 'client_aborted client reset',
  },
  {
    what: 'client RST in mid-answer, some of it not read',
    ...{ d: [answered, peerReset(500)], u: [gaveAnswer, { unreadBytes: 7 }, ownReset(520)] },
    is: 'client_aborted client reset',
  },
  {
    what: 'client RST before its TCP had the whole answer',
    d: [answered, peerReset(500), { flags: SIDE_FLAGS.EXCHANGE | SIDE_FLAGS.ENDED | SIDE_FLAGS.UNDELIVERED }],
    ...{ u: [gaveAnswer, ownFin(520)], is: 'client_aborted client reset' },
  },
  {
    what: 'client FIN, then RST for what was on its way',
    d: [answered, peerFin(500), { error: ERRNO.ECONNRESET, unackedBytes: 100 }],
    ...{ u: [gaveAnswer, ownFin(520)], is: 'client_aborted client fin' },
  },
  {
    what: 'client FIN, then RST when only our FIN was on its way',
    d: [answered, peerFin(500), { error: ERRNO.ECONNRESET, unackedBytes: 1 }],
    ...{ u: [gaveAnswer, ownFin(520)], is: 'ok client fin' },
  },
  {
    what: 'client FIN, then the proxy wrote, and got RST',
    d: [answered, peerFin(500), { error: ERRNO.EPIPE, lastWriteNs: 600 }],
    ...{ u: [gaveAnswer, ownFin(650)], is: 'client_aborted client fin' },
  },
  {
    what: 'the client vanished',
    d: [asked, { closedNs: 900, closedFrom: TCP.ESTABLISHED, error: ERRNO.ETIMEDOUT }],
    ...{ u: [passedOn, ownFin(920)], is: 'client_aborted client timeout' },
  },
  {
    what: 'refused',
    d: [asked, ownFin(310)],
    u: [failed(ERRNO.ECONNREFUSED)],
    is: 'upstream_refused proxy fin',
  },
  {
    what: 'no route',
    d: [asked, ownFin(310)],
    u: [failed(ERRNO.EHOSTUNREACH)],
    is: 'upstream_unreachable proxy fin',
  },
  {
    what: 'no network',
    d: [asked, ownReset(310)],
    u: [failed(ERRNO.ENETUNREACH)],
    is: 'upstream_unreachable proxy reset',
  },
  {
    what: 'the kernel gave up connecting',
    d: [asked, ownFin(310)],
    u: [failed(ERRNO.ETIMEDOUT)],
    is: 'upstream_connect_timeout proxy fin',
  },
  {
    what: 'the proxy gave up connecting',
    d: [asked, ownFin(310)],
    u: [failed(0)],
    is: 'upstream_connect_timeout proxy fin',
  },
  {
    what: 'the client left while it connected',
    d: [asked, peerFin(250)],
    u: [failed(0)],
    is: 'client_aborted client fin',
  },
  {
    what: 'upstream RST before the answer',
    d: [asked, ownFin(320)],
    u: [passedOn, peerReset(300)],
    is: 'upstream_reset upstream reset',
  },
  {
    what: 'upstream RST in mid-answer',
    d: [answered, ownFin(520)],
    u: [gaveAnswer, peerReset(500)],
    is: 'upstream_reset upstream reset',
  },
  {
    what: 'upstream FIN before the answer',
    d: [asked, ownFin(320)],
    u: [passedOn, peerFin(300)],
    is: 'upstream_closed_early upstream fin',
  },
  {
    what: 'upstream FIN at once',
    d: [{ exchange: 0 }, ownFin(320)],
    u: [peerFin(300)],
    is: 'upstream_closed_early upstream fin',
  },
  {
    what: 'proxy FIN before the answer',
    d: [asked, ownFin(300)],
    u: [passedOn, ownFin(300)],
    is: 'proxy_reset proxy fin',
  },
  {
    what: 'proxy RST before the answer',
    d: [asked, ownReset(300)],
    u: [passedOn, ownReset(300)],
    is: 'proxy_reset proxy reset',
  },
  {
    what: 'proxy RST in mid-answer',
    ...{ d: [answered, ownReset(500)], u: [gaveAnswer, { unreadBytes: 7 }, ownReset(510)] },
    is: 'proxy_reset proxy reset',
  },
  { what: 'no upstream', d: [asked, { peer: 0 }, ownFin(300)], is: 'no_upstream proxy fin' },
  {
    what: 'no upstream, and the client left',
    d: [asked, { peer: 0 }, peerFin(300)],
    is: 'client_aborted client fin',
  },
  { what: 'its upstream side was lost', d: [asked, ownFin(300)], is: 'proxy_reset proxy fin' },
  {
    what: 'attempts that may have been its own',
    d: [asked, { peer: 0 }, ownFin(300)],
    hop: { ambiguous: true },
    is: 'proxy_reset proxy fin',
  },
  {
    what: "taken along by another's failure",
    d: [asked, { peer: 0 }, ownFin(310)],
    hop: { ambiguous: true, failure: upstreamRecord(failed(ERRNO.ECONNREFUSED)) },
    is: 'upstream_refused proxy fin',
  },
  {
    what: 'no byte, client FIN',
    d: [{ exchange: 0 }, peerFin(300)],
    u: [ownFin(320)],
    is: 'idle_closed client fin',
  },
  {
    what: 'no byte, proxy FIN',
    d: [{ exchange: 0 }, ownFin(300)],
    u: [ownFin(300)],
    is: 'idle_closed proxy fin',
  },
  {
    what: "a connection's own end",
    d: [answered, ownFin(9000)],
    u: [gaveAnswer, ownFin(9000)],
    hop: { kind: 'connection' },
    is: 'idle_closed proxy fin',
  },
  { what: 'a lone upstream, answered', u: [gaveAnswer, peerFin(500)], is: 'ok upstream fin' },
  {
    what: 'a lone upstream, unanswered, RST',
    u: [passedOn, peerReset(300)],
    is: 'upstream_reset upstream reset',
  },
  { what: 'a lone upstream without a byte', u: [ownFin(300)], is: 'idle_closed' },
];

const merged = (parts: readonly Fields[]): Fields => Object.assign({}, ...parts) as Fields;

function hopOfRow({ d, u, hop }: Row): Hop {
  return hopOf({
    end: true,
    ...(d ? { downstream: downstreamRecord(merged(d)) } : {}),
    ...(u ? { upstream: upstreamRecord(merged(u)) } : {}),
    ...hop,
  });
}

describe('what became of a hop', () => {
  for (const row of ROWS) {
    test(`${row.what}: ${row.is}`, () => {
      const hop = hopOfRow(row);
      const closed = whoClosed(hop);
      assert.equal([outcomeOf(hop), ...(closed ? [closed.by, closed.how] : [])].join(' '), row.is);
    });
  }

  test('every outcome has its row here', () => {
    const seen = new Set(ROWS.map((row) => outcomeOf(hopOfRow(row))));
    assert.deepEqual([...seen].toSorted(), Object.keys(OUTCOMES).toSorted());
  });
});

describe('docs/outcomes.md', () => {
  test('has a row for every outcome, and no other', () => {
    const page = readFileSync(new URL('../../../docs/outcomes.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name ?? '');
    assert.deepEqual([...new Set(rows)].toSorted(), Object.keys(OUTCOMES).toSorted());
  });
});
