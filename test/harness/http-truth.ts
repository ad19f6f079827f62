import type { FileSpan } from './hopspan.ts';
import { hopsOf } from './hopspan.ts';
import type { HttpArrival } from './http-backend.ts';
import type { HttpSent } from './http-client.ts';

/** Requests by whether hopspan has found their upstream half. */
export interface PairingVerdict {
  readonly right: number;
  /** With another request's upstream half; the first of them in words. */
  readonly wrong: number;
  readonly examples: readonly string[];
  /** Apart, and said to be ambiguous. */
  readonly ambiguous: number;
  /** Apart, and not said to be ambiguous. */
  readonly apart: number;
  /** Without a hop. */
  readonly missing: number;
}

const placeOf = (port: unknown, number: unknown): string => `${port}#${number}`;

/**
 * Holds pairs against the truth: each half is known by its connection's port and its number on it, which the client and
 * the backend know of every id.
 */
export function judgePairs(
  spans: readonly FileSpan[],
  sent: readonly HttpSent[],
  arrivals: readonly HttpArrival[],
): PairingVerdict {
  const hops = new Map(
    hopsOf(spans).hops.map((seen) => [
      placeOf(seen.hop.attributes['network.peer.port'], seen.hop.attributes['hopspan.exchange.number']),
      seen,
    ]),
  );
  const arrived = Map.groupBy(arrivals, ({ id }) => id);
  const verdict = { right: 0, wrong: 0, examples: [] as string[], ambiguous: 0, apart: 0, missing: 0 };
  for (const { id, localPort, number } of sent) {
    const seen = hops.get(placeOf(localPort, number));
    const should = new Set(arrived.get(id)?.map((arrival) => placeOf(arrival.remotePort, arrival.number)));
    const told = seen?.upstreams.map(({ attributes }) =>
      placeOf(attributes['network.local.port'], attributes['hopspan.exchange.number']),
    );
    const strange = told?.filter((place) => !should.has(place)) ?? [];
    if (!seen || !told) verdict.missing++;
    else if (strange.length > 0) {
      verdict.wrong++;
      if (verdict.examples.length < 3) verdict.examples.push(`${id}: ${strange} instead of ${[...should]}`);
    } else if (told.length > 0 || should.size === 0) verdict.right++;
    else if (seen.hop.attributes['hopspan.pairing.ambiguous']) verdict.ambiguous++;
    else verdict.apart++;
  }
  return verdict;
}
