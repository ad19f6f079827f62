import { fileURLToPath } from 'node:url';
import { type Fetched, fetched, pathOf } from './fetched.ts';
import { freePort } from './ports.ts';
import { type Child, startChild, until } from './process.ts';

/** Jaeger's JSON (/api/traces): times in microseconds since the epoch. */
export interface JaegerSpan {
  readonly traceID: string;
  readonly spanID: string;
  readonly operationName: string;
  readonly references: readonly {
    readonly refType: 'CHILD_OF' | 'FOLLOWS_FROM';
    readonly traceID: string;
    readonly spanID: string;
  }[];
  readonly startTime: number;
  readonly duration: number;
  /** The span's kind is the tag `span.kind`. */
  readonly tags: readonly JaegerTag[];
  readonly logs: readonly { readonly timestamp: number; readonly fields: readonly JaegerTag[] }[];
  readonly processID: string;
  readonly warnings: readonly string[] | null;
}

export interface JaegerTag {
  readonly key: string;
  readonly type: string;
  readonly value: string | number | boolean;
}

export interface JaegerTrace {
  readonly traceID: string;
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<
    Record<string, { readonly serviceName: string; readonly tags: readonly JaegerTag[] }>
  >;
}

export interface TraceSearch {
  /** Waits until at least so many traces are found; 1 where not given. */
  readonly atLeast?: number;
  /** At most so many; 2,000 where not given. */
  readonly limit?: number;
  readonly operation?: string;
  readonly timeoutMs?: number;
}

export interface Jaeger {
  readonly otlpGrpcEndpoint: string;
  readonly otlpHttpEndpoint: string;
  readonly queryUrl: string;
  readonly child: Child;
  traces(service: string, options?: TraceSearch): Promise<JaegerTrace[]>;
  trace(traceId: string): Promise<JaegerTrace | undefined>;
  services(): Promise<string[]>;
  /** The service graph: calls from `parent` to `child`. */
  dependencies(): Promise<{ readonly parent: string; readonly child: string; readonly callCount: number }[]>;
  stop(): Promise<void>;
}

export const jaegerBinary = (): Fetched => fetched('get-jaeger.sh');

/** Starts Jaeger with storage in memory on free ports; resolves when it is healthy. `more`: files over its configuration. */
export async function startJaeger(...more: readonly string[]): Promise<Jaeger> {
  const binary = pathOf(jaegerBinary());
  const names = ['QUERY', 'QUERY_GRPC', 'HEALTH', 'OTLP_GRPC', 'OTLP_HTTP'] as const;
  const ports = new Map(await Promise.all(names.map(async (name) => [name, await freePort()] as const)));
  const env = Object.fromEntries([...ports].map(([name, port]) => [`JAEGER_${name}_PORT`, String(port)]));
  const config = fileURLToPath(new URL('jaeger/jaeger.yaml', import.meta.url));
  const configs = [config, ...more].flatMap((file) => ['--config', `file:${file}`]);
  const child = await startChild(binary, configs, {
    // Jaeger traces its own query API, and would send that to the default OTLP port: to the system under test.
    env: { ...process.env, ...env, OTEL_TRACES_SAMPLER: 'always_off' },
  });
  const url = (name: (typeof names)[number]): string => `http://127.0.0.1:${ports.get(name)}`;
  await until(
    'Jaeger to be healthy',
    () => {
      if (child.exit()) throw new Error(`Jaeger ended at start:\n${child.stderr()}`);
      return answersOk(`${url('HEALTH')}/status`);
    },
    60_000,
  );
  const ask = async <T>(path: string): Promise<T[]> => {
    const response = await fetch(`${url('QUERY')}${path}`);
    // A trace that is not there is answered with 404.
    if (response.status === 404) return [];
    if (!response.ok)
      throw new Error(`Jaeger answered ${response.status} to ${path}: ${await response.text()}`);
    const body = (await response.json()) as { data: T[] | null };
    return body.data ?? [];
  };
  return {
    otlpGrpcEndpoint: url('OTLP_GRPC'),
    otlpHttpEndpoint: url('OTLP_HTTP'),
    queryUrl: url('QUERY'),
    child,
    traces: (service, { atLeast = 1, limit = 2000, operation, timeoutMs } = {}) => {
      const query = new URLSearchParams({ service, limit: String(limit), lookback: '1h' });
      if (operation !== undefined) query.set('operation', operation);
      const search = async (): Promise<JaegerTrace[] | false> => {
        const found = await ask<JaegerTrace>(`/api/traces?${query}`);
        return found.length >= atLeast && found;
      };
      return until(`${atLeast} traces of ${service} in Jaeger`, search, timeoutMs);
    },
    trace: async (traceId) => (await ask<JaegerTrace>(`/api/traces/${traceId}`))[0],
    services: () => ask('/api/services'),
    // A few seconds ahead: Jaeger leaves out what is newer than `endTs`.
    dependencies: () => ask(`/api/dependencies?endTs=${Date.now() + 10_000}&lookback=3600000`),
    stop: async () => {
      await child.stop();
    },
  };
}

async function answersOk(url: string): Promise<boolean> {
  return fetch(url).then(
    (response) => response.ok,
    () => false,
  );
}
