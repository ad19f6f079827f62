/** Envoy between the two halves of load.c: the proxy on one processor, they on the other. */
import { type EnvoyOptions, type EnvoyProxy, startEnvoy } from '../harness/envoy.ts';
import { compile, cpuNs, OTHER_CPU, PROXY_CPU, pin, startPinned } from './tools.ts';

export interface StageOptions {
  /** What load.c speaks; bytes of no meaning where not given. */
  readonly protocol?: 'http1' | 'grpc';
  /** Of a request and an answer, as load.c takes them. */
  readonly sizes?: readonly [request: number, answer: number];
  /** What the proxy does with it; it relays bytes where not given. */
  readonly envoy?: Partial<EnvoyOptions>;
}

const SIZES = [100, 200] as const;
export const CONNECTIONS = 200;

export interface LoadOptions {
  readonly seconds: number;
  /** Requests per second; 0: as many as come back. */
  readonly rate: number;
  /** Ends after so many requests. */
  readonly requests?: number;
  /** Straight to the backend, past the proxy. */
  readonly bypass?: boolean;
}

export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** The proxy's CPU time per request, the kernel's work on its behalf included. */
  readonly proxyUs: number;
}

/** A proxy with one worker, its backend, and a client that can be started again and again. */
export interface Stage {
  readonly proxy: EnvoyProxy;
  run(options: LoadOptions): Promise<LoadResult>;
  /** Leaves the proxy one part in `parts` of its processor while `body` runs. */
  withShare<T>(parts: number, body: () => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

export async function openStage(options: StageOptions = {}): Promise<Stage> {
  const load = compile('load.c', 'load', ['-Wall', '-Wextra']);
  const sizes = (options.sizes ?? SIZES).map(String);
  const protocol = options.protocol ? [options.protocol] : [];
  const backend = await startPinned(OTHER_CPU, load, [...protocol, 'backend', ...sizes]);
  const backendPort = (await backend.line(/^port \d+/)).split(' ')[1] ?? '';
  const listeners = [{ upstreamPort: Number(backendPort) }];
  const proxy = await startEnvoy({ ...options.envoy, listeners, concurrency: 1 });
  pin(proxy.pid, PROXY_CPU);
  return {
    proxy,
    async run({ seconds, rate, requests = 0, bypass = false }) {
      const port = bypass ? backendPort : String(proxy.port);
      const numbers = [CONNECTIONS, seconds, rate, requests].map(String);
      const before = cpuNs(proxy.pid);
      const client = await startPinned(OTHER_CPU, load, [...protocol, 'client', port, ...sizes, ...numbers]);
      const exit = await client.exited;
      const used = cpuNs(proxy.pid) - before;
      if (exit.code !== 0)
        throw new Error(`the load ended with ${exit.code ?? exit.signal}: ${client.stderr()}`);
      const result = JSON.parse(client.stdout()) as Omit<LoadResult, 'perSecond' | 'proxyUs'> & {
        seconds: number;
      };
      return {
        ...result,
        perSecond: result.requests / result.seconds,
        proxyUs: used / 1000 / result.requests,
      };
    },
    async withShare(parts, body) {
      const others = await Promise.all(
        Array.from({ length: parts - 1 }, () => startPinned(PROXY_CPU, load, ['burn'])),
      );
      try {
        return await body();
      } finally {
        await Promise.all(others.map((other) => other.stop('SIGKILL')));
      }
    },
    async stop() {
      await proxy.stop();
      await backend.stop();
    },
  };
}
