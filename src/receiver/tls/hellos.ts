import type { RingMemory } from '../../native/ring.ts';
import {
  HELLO_FLAGS,
  HELLO_RECORD,
  readHelloRecord,
  SIDE_FLAGS,
  type SideRecord,
} from '../../records.gen.ts';
import { RECEIVER_KIND, type TlsHelloRecord } from '../kernel-record.ts';
import { parseHello } from './hello.ts';

/** Puts the parts of hellos together that the kernel hands up, and keeps the listed fields of them. */
export interface Hellos {
  /** The record at byte `at`; a hello when it is whole. */
  push(memory: RingMemory, at: number): TlsHelloRecord | undefined;
  /** A connection that has ended leaves nothing. */
  onSide(record: SideRecord): void;
  /** Hellos of which parts have come. */
  size(): number;
}

export function createHellos(): Hellos {
  /** By connection: the client's, the server's. Their length is bounded by the kernel. */
  const partials = new Map<number, [Uint8Array[], Uint8Array[]]>();

  return {
    size: () => partials.size,
    push(memory, at) {
      const { connection, tgid, flags, helloBytes } = readHelloRecord(memory, at);
      const start = at + HELLO_RECORD.size;
      const part = memory.u8.slice(start, start + helloBytes);
      const both = partials.get(connection) ?? [[], []];
      const mine = both[flags & HELLO_FLAGS.ANSWER ? 1 : 0];
      mine?.push(part);
      if (!(flags & HELLO_FLAGS.OVER)) {
        partials.set(connection, both);
        return undefined;
      }
      const hello = parseHello(Buffer.concat(mine ?? []));
      mine?.splice(0);
      if (both.every((parts) => parts.length === 0)) partials.delete(connection);
      return hello && { kind: RECEIVER_KIND.TLS_HELLO, connection, tgid, flags, ...hello };
    },
    onSide(record) {
      if (record.flags & SIDE_FLAGS.ENDED) partials.delete(record.connection);
    },
  };
}
