export interface MetricMeaning {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** UCUM, as OpenTelemetry has it. */
  readonly unit: string;
  /** Its labels; those in brackets are not on every series. */
  readonly by: readonly string[];
  readonly meaning: string;
}

/** Of a request that has no such thing it is left out. */
const HTTP = [
  'http.request.method',
  '[http.response.status_code]',
  'url.scheme',
  '[network.protocol.version]',
  '[error.type]',
] as const;
const RPC = ['rpc.system.name', 'rpc.method', '[rpc.status_code]', '[error.type]'] as const;
const PATH = ['proxy', '[listener]', '[upstream]'] as const;

/** Every metric that hopspan has: OpenTelemetry's names where it has one. docs/metrics.md is generated from this table. */
export const METRICS = {
  'hopspan.hop.duration': {
    kind: 'histogram',
    unit: 's',
    by: [...PATH, 'outcome'],
    meaning: 'Durations of hops, as those of their SERVER spans.',
  },
  'hopspan.upstream.duration': {
    kind: 'histogram',
    unit: 's',
    by: [...PATH, 'outcome'],
    meaning: 'Durations of what was asked of upstreams, each try by itself, as those of CLIENT spans.',
  },
  'hopspan.phase.duration': {
    kind: 'histogram',
    unit: 's',
    by: [...PATH, 'phase'],
    meaning: 'Durations of the phases of hops.',
  },
  'http.server.request.duration': {
    kind: 'histogram',
    unit: 's',
    by: ['proxy', 'listener', ...HTTP],
    meaning: 'Durations of HTTP requests, as the proxy answered them.',
  },
  'http.client.request.duration': {
    kind: 'histogram',
    unit: 's',
    by: [...PATH, '[server.address]', '[server.port]', ...HTTP],
    meaning: 'Durations of HTTP requests, as the upstream answered the proxy.',
  },
  'rpc.server.call.duration': {
    kind: 'histogram',
    unit: 's',
    by: ['proxy', 'listener', ...RPC],
    meaning: 'Durations of gRPC calls, as the proxy answered them.',
  },
  'rpc.client.call.duration': {
    kind: 'histogram',
    unit: 's',
    by: [...PATH, '[server.address]', '[server.port]', ...RPC],
    meaning: 'Durations of gRPC calls, as the upstream answered the proxy.',
  },
  'hopspan.outcomes': {
    kind: 'counter',
    unit: '{hop}',
    by: [...PATH, 'kind', 'outcome'],
    meaning: 'What became of exchanges, and of connections that ended apart from them.',
  },
  'hopspan.pairings': {
    kind: 'counter',
    unit: '{hop}',
    by: ['proxy', 'pairing', 'ambiguous'],
    meaning: 'Exchanges by how their two sides were found to belong together.',
  },
  'hopspan.io': {
    kind: 'counter',
    unit: 'By',
    by: [...PATH, 'side', 'network.io.direction'],
    meaning: 'Bytes of exchanges, as the proxy read and wrote them.',
  },
  'hopspan.retransmits': {
    kind: 'counter',
    unit: '{segment}',
    by: [...PATH, 'side'],
    meaning: 'TCP segments that the proxy sent again.',
  },
  'hopspan.listener.requests': {
    kind: 'counter',
    unit: '{request}',
    by: ['proxy', 'listener'],
    meaning: 'Requests by proxy and the port that it listens on.',
  },
  'hopspan.upstream.requests': {
    kind: 'counter',
    unit: '{request}',
    by: ['proxy', '[listener]', 'upstream'],
    meaning: 'Requests by proxy, upstream, and the port that they came in by, where that is known.',
  },
  'hopspan.balance.pinned': {
    kind: 'counter',
    unit: '{connection}',
    by: [],
    meaning: 'Connections that were found to pin the requests of a listener to one upstream.',
  },
  'hopspan.connection.requests': {
    kind: 'histogram',
    unit: '{request}',
    by: ['proxy', '[listener]'],
    meaning: 'Requests of one downstream connection in ten seconds.',
  },
  'hopspan.connection.share': {
    kind: 'gauge',
    unit: '1',
    by: ['proxy', '[listener]'],
    meaning: 'Share of the busiest downstream connection in the requests of ten seconds.',
  },
  'hopspan.records': {
    kind: 'counter',
    unit: '{record}',
    by: [],
    meaning: 'Records that came from the kernel.',
  },
  'hopspan.records.lost': {
    kind: 'counter',
    unit: '{record}',
    by: ['reason'],
    meaning: 'Records lost or not believed in the kernel, by reason; zero in a healthy run.',
  },
  'hopspan.hops': {
    kind: 'counter',
    unit: '{hop}',
    by: ['kind'],
    meaning: 'Hops, and those among them that evidence could not settle.',
  },
  'hopspan.receiver.spans': {
    kind: 'counter',
    unit: '{span}',
    by: ['receiver', 'state'],
    meaning: "Applications' spans by receiver and what became of them; senders come again with refused ones.",
  },
  'hopspan.processor.items': {
    kind: 'counter',
    unit: '{item}',
    by: ['pipeline', 'processor', 'decision'],
    meaning: 'What processors did, see processors.md.',
  },
  'hopspan.exporter.spans': {
    kind: 'counter',
    unit: '{span}',
    by: ['exporter', 'state'],
    meaning: 'Spans by exporter and what became of them.',
  },
  'hopspan.exporter.queue': {
    kind: 'gauge',
    unit: '{span}',
    by: ['exporter'],
    meaning: 'Spans waiting to be sent.',
  },
  'hopspan.exporter.queue.stored': {
    kind: 'gauge',
    unit: '{span}',
    by: ['exporter'],
    meaning: 'Those of them that are safe on disk, where the queue is there.',
  },
  'hopspan.exporter.send.duration': {
    kind: 'histogram',
    unit: 's',
    by: ['exporter'],
    meaning: 'How long one request to a backend took, whatever became of it.',
  },
  'hopspan.config.reloads': {
    kind: 'counter',
    unit: '{reload}',
    by: ['result'],
    meaning: 'How often the configuration was read anew while hopspan ran: `success` or `failure`.',
  },
  'hopspan.config.last_reload_successful': {
    kind: 'gauge',
    unit: '{success}',
    by: [],
    meaning: '1, or 0 while a configuration that cannot be used was the last one that was read.',
  },
  'hopspan.config.last_reload_success_timestamp': {
    kind: 'gauge',
    unit: 's',
    by: [],
    meaning: 'When the configuration in force was read, in seconds since the epoch.',
  },
  'process.cpu.time': {
    kind: 'counter',
    unit: 's',
    by: ['cpu.mode'],
    meaning: "hopspan's own processor time.",
  },
  'process.memory.usage': {
    kind: 'gauge',
    unit: 'By',
    by: [],
    meaning: "hopspan's own resident memory.",
  },
} as const satisfies Record<string, MetricMeaning>;

export type MetricName = keyof typeof METRICS;

/** What stands at the end of a name in Prometheus (OpenTelemetry, Prometheus compatibility, "Metric Metadata"). */
export function prometheusUnit(unit: string): string {
  if (unit === 's') return '_seconds';
  if (unit === 'By') return '_bytes';
  return unit === '1' ? '_ratio' : '';
}

/** The name in Prometheus without what the kind of metric adds. */
export function prometheusStem(name: string, unit: string): string {
  return `${name.replaceAll(/[^a-zA-Z0-9_]/g, '_')}${prometheusUnit(unit)}`;
}

/** The name in Prometheus' text format. */
export function prometheusName(name: MetricName): string {
  const { kind, unit } = METRICS[name];
  const stem = prometheusStem(name, unit);
  return kind === 'counter' ? `${stem}_total` : stem;
}
