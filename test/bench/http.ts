/** What watching HTTP/1 and gRPC costs, relayed as bytes and spoken by Envoy itself. */
import { http2Cluster } from '../harness/proxies.ts';
import type { Sink } from './hopspan.ts';
import { openStage, type StageOptions } from './load.ts';
import { benchProbes } from './probes.ts';
import { say } from './report.ts';
import { benchThroughput } from './throughput.ts';

const PAIRS = 5;
/** Percent of an HTTP proxy's throughput. */
const AIM = 5;
/** A head as browsers and other proxies send it, and a small answer. */
const HTTP1 = { protocol: 'http1', sizes: [290, 150] } as const;
const GRPC = { protocol: 'grpc', sizes: [100, 200] } as const;

const STAGES: Readonly<Record<string, StageOptions>> = {
  'HTTP/1, spoken by Envoy': { ...HTTP1, envoy: { http: {} } },
  'gRPC, spoken by Envoy': { ...GRPC, envoy: { http: {}, cluster: http2Cluster() } },
  'HTTP/1, relayed as bytes': HTTP1,
  'gRPC, relayed as bytes': GRPC,
};

export async function benchHttp(sink: Sink): Promise<void> {
  for (const [name, options] of Object.entries(STAGES)) {
    say(`\n== ${name}`);
    const stage = await openStage(options);
    try {
      await benchProbes(stage);
      say();
      await benchThroughput(stage, sink, AIM, PAIRS);
    } finally {
      await stage.stop();
    }
  }
}
