import {
  type ClockRecord,
  type HostRecord,
  type HttpMessageRecord,
  type KernelRecord,
  type ProxyRecord,
  RECEIVER_KIND,
} from '../../src/receiver/kernel-record.ts';
import {
  MESSAGE_FLAGS,
  PROCESS_EVENT,
  PROCESS_RECORD,
  type ProcessRecord,
  ROLE,
  readProcessRecord,
  readSideRecord,
  SIDE_FLAGS,
  SIDE_RECORD,
  type SideRecord,
} from '../../src/records.gen.ts';

export function ringOf(bytes: number, fill: (at: number) => number) {
  const buffer = new ArrayBuffer(bytes);
  const u8 = new Uint8Array(buffer);
  for (let at = 0; at < bytes; at++) u8[at] = fill(at);
  return { u8, u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
}

/** A side record whose bytes in the kernel's layout are `fill`: every field that the layout has, now and later. */
export function sideOfBytes(fill: (at: number) => number): SideRecord {
  return readSideRecord(ringOf(SIDE_RECORD.size, fill), 0);
}

export function processOfBytes(fill: (at: number) => number): ProcessRecord {
  return readProcessRecord(ringOf(PROCESS_RECORD.size, fill), 0);
}

export function makeHost(fields: Partial<HostRecord> = {}): HostRecord {
  return {
    kind: RECEIVER_KIND.HOST,
    hostName: 'host',
    hostId: '',
    seed: '0123456789abcdef'.repeat(2),
    ...fields,
  };
}

export function makeProxy(fields: Partial<ProxyRecord> = {}): ProxyRecord {
  const executablePath = '/usr/bin/envoy';
  return {
    ...{ kind: RECEIVER_KIND.PROXY, tgid: 100, serviceName: 'edge', executableName: 'envoy' },
    ...{ executablePath, containerId: '', podUid: '', podName: '', podNamespace: '', ...fields },
  };
}

export function makeClock(monotonicNs: number): ClockRecord {
  return { kind: RECEIVER_KIND.CLOCK, monotonicNs, wallSeconds: 1_700_000_000, wallNanos: 999_999_999 };
}

/** A request that was read, alone on its connection. */
export function makeHttpMessage(fields: Partial<HttpMessageRecord> = {}): HttpMessageRecord {
  return {
    ...{ kind: RECEIVER_KIND.HTTP_MESSAGE, flags: MESSAGE_FLAGS.OVER, connection: 1, peer: 2, number: 1 },
    ...{ arrivedNs: 1000, firstNs: 2000, lastNs: 3000, bytes: 100, operations: 1 },
    ...{
      srttUs: 50,
      retransmits: 0,
      outOfOrder: 0,
      bodyBytes: 0,
      tid: 101,
      stream: 0,
      errorCode: 0,
      resetNs: 0,
      messages: 0,
      firstMessageNs: 0,
    },
    ...{ firstTurn: 0, lastTurn: 0 },
    ...{ method: 'GET', path: '/', query: '', authority: 'service.test:80', version: '1.1', statusCode: 0 },
    headers: { 'user-agent': 'harness', host: 'service.test:80' },
    fields: [{ name: 'Host', fingerprint: 'abcdefghijk' }],
    ...fields,
  };
}

export function makeProcess(fields: Partial<ProcessRecord> = {}): ProcessRecord {
  const none = processOfBytes(() => 0);
  return { ...none, event: PROCESS_EVENT.EXEC, tgid: 100, name: 'envoy', ...fields };
}

export function makeSide(fields: Partial<SideRecord> = {}): SideRecord {
  return { ...sideOfBytes(() => 0), ...fields };
}

const MS = 1_000_000;
const AF_INET = 2;

/** One stream: host, proxy, and for each of `exchanges` a downstream and an upstream record of one pair. */
export function makeStream(exchanges: number): KernelRecord[] {
  const localhost = Uint8Array.of(127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const common = {
    tgid: 100,
    tid: 101,
    family: AF_INET,
    localAddr: localhost,
    remoteAddr: localhost,
    worker: 'wrk:0',
  };
  const records: KernelRecord[] = [makeHost(), makeClock(MS), makeProxy(), makeProcess({ timeNs: MS })];
  for (let number = 1; number <= exchanges; number++) {
    const at = number * 100 * MS;
    const last = number === exchanges;
    const shared = {
      ...common,
      exchange: number,
      flags: SIDE_FLAGS.EXCHANGE | (last ? SIDE_FLAGS.ENDED : 0),
      pairing: 1,
      reads: 1,
      writes: 1,
      totalRead: 100 * number,
      totalWritten: 100 * number,
      bytesRead: 100,
      bytesWritten: 100,
      finReceivedNs: last ? at + 60 * MS : 0,
      finSentNs: last ? at + 61 * MS : 0,
      closedNs: last ? at + 62 * MS : 0,
      releasedNs: last ? at + 63 * MS : 0,
    };
    records.push(
      makeSide({
        ...{ ...shared, connection: 7, peer: 8, role: ROLE.DOWNSTREAM, localPort: 8000, remotePort: 40_000 },
        ...{
          establishedNs: 90 * MS,
          acceptedNs: 91 * MS,
          arrivedNs: at,
          firstReadNs: at + MS,
          lastReadNs: at + MS,
        },
        ...{ firstWriteNs: at + 9 * MS, lastWriteNs: at + 9 * MS },
      }),
      makeSide({
        ...{ ...shared, connection: 8, peer: 7, role: ROLE.UPSTREAM, localPort: 50_000, remotePort: 8080 },
        ...{ synNs: 92 * MS, establishedNs: 93 * MS, firstWriteNs: at + 2 * MS, lastWriteNs: at + 2 * MS },
        ...{ arrivedNs: at + 7 * MS, firstReadNs: at + 8 * MS, lastReadNs: at + 8 * MS },
      }),
      makeClock(at + 70 * MS),
    );
  }
  return records;
}
