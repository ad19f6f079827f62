import { endNs, hasEnded, hasExchange, isAnswered, isPreexisting, lastByteNs, type Side } from './side.ts';

/** Set-up and end further than this from the exchange get a span of their own, in nanoseconds. */
export const CLOSE_TOGETHER_NS = 1_000_000_000;

/** At the end of the stream: answered, or over. */
export function isComplete(d: Side | undefined): boolean {
  if (!d) return false;
  return hasEnded(d) || isAnswered(d);
}

/** The exchange is the first and began soon after its connections were made; of a half, with that one side. */
export function carriesSetUp(d: Side | undefined, u?: Side): boolean {
  const side = d ?? u;
  if (!side || side.exchange > 1 || isPreexisting(side)) return false;
  if (!hasExchange(side)) return true;
  const made = Math.max(d?.establishedNs ?? 0, u?.establishedNs ?? 0);
  const began = side.arrivedNs || side.firstReadNs || side.firstWriteNs;
  return began - made <= CLOSE_TOGETHER_NS;
}

/** The connections ended soon after the exchange's last byte, or with the exchange unanswered. */
export function carriesEnd(d: Side | undefined, u: Side | undefined): boolean {
  if (!d || !(hasEnded(d) || d.cut)) return false;
  if (!isAnswered(d)) return true;
  const last = Math.max(lastByteNs(d), u ? lastByteNs(u) : 0);
  return endNs(d) - last <= CLOSE_TOGETHER_NS;
}
