import type { Hop } from '../../src/correlate/hop.ts';
import { ROLE, type SideRecord } from '../../src/records.gen.ts';
import { makeClock, makeSide } from './kernel-records.ts';

const AF_INET = 2;
const LOOPBACK = Uint8Array.of(127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

/** A full record of one side of one process: nothing has happened on its connection but what the test says. */
export function sideRecord(overrides: Partial<SideRecord> = {}): SideRecord {
  return makeSide({
    connection: 1,
    role: ROLE.DOWNSTREAM,
    tgid: 100,
    tid: 101,
    family: AF_INET,
    localAddr: LOOPBACK,
    remoteAddr: LOOPBACK,
    localPort: 8000,
    remotePort: 40_000,
    worker: 'wrk:worker_0',
    ...overrides,
  });
}

/** The client's side, accepted: connection 1, from port 40000 to 8000, since nanosecond 100. */
export function downstreamRecord(overrides: Partial<SideRecord> = {}): SideRecord {
  return sideRecord({ establishedNs: 100, acceptedNs: 110, openOp: 1, ...overrides });
}

/** The upstream's side, connected: connection 2, from port 50000 to 9000, begun at nanosecond 120. */
export function upstreamRecord(overrides: Partial<SideRecord> = {}): SideRecord {
  return sideRecord({
    role: ROLE.UPSTREAM,
    connection: 2,
    localPort: 50_000,
    remotePort: 9000,
    synNs: 120,
    establishedNs: 130,
    openOp: 2,
    ...overrides,
  });
}

/** A hop of one exchange that carries its connections' set-up and has no end yet, and what the test says. */
export function hopOf(overrides: Partial<Hop> = {}): Hop {
  const side = overrides.downstream ?? overrides.upstream;
  const key = { connection: side?.connection ?? 1, exchange: side?.exchange ?? 1 };
  return {
    kind: 'exchange',
    key,
    trace: key,
    attempts: [],
    pairing: 'buffer',
    ambiguous: false,
    overlapping: false,
    setUp: true,
    end: false,
    proxy: undefined,
    host: undefined,
    clock: makeClock(0),
    ...overrides,
  };
}
