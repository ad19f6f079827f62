// What counting a hop costs, beside what making its spans costs: node test/bench/hop-metrics.ts
import type { Hop } from '../../src/correlate/hop.ts';
import { MESSAGE_FLAGS, SIDE_FLAGS } from '../../src/records.gen.ts';
import { createSpanBuilder } from '../../src/spans/build.ts';
import { createHopMetrics } from '../../src/telemetry/hop-metrics.ts';
import { makeHost, makeHttpMessage, makeProxy } from '../harness/kernel-records.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../harness/side-record.ts';

const HOPS = 4096;
const ROUNDS = 50;
const REPEATS = 7;
const US = 1000;

const shared = { proxy: makeProxy({ serviceName: 'edge' }), host: makeHost() };
const carried = { flags: SIDE_FLAGS.EXCHANGE, exchange: 2 };
const over = { flags: MESSAGE_FLAGS.OVER, version: '1.1' };

/** Over three listeners to seven upstreams. */
function makeHop(i: number, isHttp: boolean): Hop {
  const http = {
    request: makeHttpMessage({ ...over, method: i % 3 ? 'GET' : 'POST', path: '/x', authority: 'a' }),
    answer: makeHttpMessage({ ...over, statusCode: i % 9 ? 200 : 404 }),
  };
  const down = downstreamRecord({
    ...{ ...carried, connection: i, localPort: 8000 + (i % 3), bytesRead: 10, bytesWritten: 20 },
    ...{ arrivedNs: 150 * US, firstReadNs: 200 * US, lastReadNs: 200 * US },
    ...{ firstWriteNs: 1400 * US + i, lastWriteNs: 1400 * US + i },
  });
  const up = upstreamRecord({
    ...{ ...carried, connection: HOPS + i, remotePort: 9000 + (i % 7), bytesRead: 21, bytesWritten: 11 },
    ...{ firstWriteNs: 300 * US, lastWriteNs: 300 * US, arrivedNs: 1200 * US },
    ...{ firstReadNs: 1300 * US, lastReadNs: 1300 * US },
  });
  return hopOf({
    ...{ ...shared, setUp: !isHttp, pairing: isHttp ? 'content' : 'buffer' },
    downstream: isHttp ? { ...down, http } : down,
    upstream: isHttp ? { ...up, http } : up,
  });
}

/** Nanoseconds for each hop: the best of a few runs. */
function measure(hops: readonly Hop[], use: (hop: Hop) => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const startNs = process.hrtime.bigint();
    for (let round = 0; round < ROUNDS; round++) for (const hop of hops) use(hop);
    best = Math.min(best, Number(process.hrtime.bigint() - startNs) / (ROUNDS * hops.length));
  }
  return Math.round(best);
}

for (const isHttp of [false, true]) {
  const hops = Array.from({ length: HOPS }, (_, i) => makeHop(i, isHttp));
  const toSpans = createSpanBuilder({ phaseFloorNs: 0, resourceAttributes: {} });
  const metrics = createHopMetrics('explicit');
  const exponential = createHopMetrics('exponential');
  const [span] = toSpans(makeHop(0, isHttp));
  const bare = measure(hops, (hop) => metrics.add(hop));
  const alone = measure(hops, (hop) => metrics.add(hop, span));
  const withBuckets = measure(hops, (hop) => exponential.add(hop, span));
  const spans = measure(hops, (hop) => void toSpans(hop));
  const both = measure(hops, (hop) => {
    metrics.add(hop, toSpans(hop)[0]);
  });
  console.log(
    `${isHttp ? 'HTTP' : 'bytes'}: metrics alone ${alone} ns a hop (without exemplars ${bare}, exponential ${withBuckets}), spans alone ${spans}, both ${both}`,
  );
}
