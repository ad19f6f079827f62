import type { RingMemory } from '../../native/ring.ts';
import {
  MESSAGE_FLAGS,
  MESSAGE_RECORD,
  type MessageRecord,
  readMessageRecord,
  SIDE_FLAGS,
  type SideRecord,
} from '../../records.gen.ts';
import { type HttpMessageRecord, RECEIVER_KIND } from '../kernel-record.ts';
import { type Head, type HeadOptions, parseHead } from './head.ts';

/** What HTTP/1 messages have nothing of. */
const ONLY_HTTP2 = { stream: 0, errorCode: 0, resetNs: 0, messages: 0, firstMessageNs: 0 };

/** A message of which parts have come. */
interface Unfinished {
  last: MessageRecord;
  fragments: Uint8Array[];
}

/** Puts the parts of HTTP/1 messages together that the kernel hands up, and keeps the listed fields of their heads. */
export interface Messages {
  /** The record at byte `at`; a message when it is over. */
  push(memory: RingMemory, at: number): HttpMessageRecord | undefined;
  /** What a connection leaves unfinished when it ends, or is HTTP no more. */
  leftBy(side: SideRecord): HttpMessageRecord[];
  /** What all connections have begun and not finished. */
  flush(): HttpMessageRecord[];
}

export function createMessages(options?: HeadOptions): Messages {
  /** By connection: requests, answers. */
  const partials = new Map<number, [Unfinished | undefined, Unfinished | undefined]>();

  return {
    push(memory, at) {
      const record = readMessageRecord(memory, at);
      const direction = record.flags & MESSAGE_FLAGS.ANSWER_MESSAGE ? 1 : 0;
      const start = at + MESSAGE_RECORD.size;
      const over = (record.flags & MESSAGE_FLAGS.OVER) !== 0;
      const both = partials.get(record.connection);
      const begun = both?.[direction];
      if (!begun && over) {
        return toRecord(record, parseHead(memory.u8.subarray(start, start + record.headBytes), options));
      }
      const partial = begun ?? { last: record, fragments: [] };
      partial.last = record;
      if (record.headBytes > 0) partial.fragments.push(memory.u8.slice(start, start + record.headBytes));
      if (over) {
        if (both) both[direction] = undefined;
        if (both && !both[1 - direction]) partials.delete(record.connection);
        return finish(partial, options);
      }
      if (both) both[direction] = partial;
      else partials.set(record.connection, direction === 0 ? [partial, undefined] : [undefined, partial]);
      return undefined;
    },
    leftBy(side) {
      const ended = side.flags & SIDE_FLAGS.ENDED || !(side.flags & SIDE_FLAGS.HTTP1);
      const both = ended ? partials.get(side.connection) : undefined;
      if (!both) return [];
      partials.delete(side.connection);
      return both.filter((partial) => partial !== undefined).map((partial) => finish(partial, options));
    },
    flush() {
      const left = [...partials.values()].flat().filter((partial) => partial !== undefined);
      partials.clear();
      return left.map((partial) => finish(partial, options));
    },
  };
}

function finish({ last, fragments }: Unfinished, options?: HeadOptions): HttpMessageRecord {
  return toRecord(last, parseHead(Buffer.concat(fragments), options));
}

function toRecord({ kind: _, headBytes: __, ...record }: MessageRecord, head: Head): HttpMessageRecord {
  return { kind: RECEIVER_KIND.HTTP_MESSAGE, ...record, ...ONLY_HTTP2, ...head };
}
