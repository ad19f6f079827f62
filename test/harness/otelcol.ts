import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { type Fetched, fetched, pathOf } from './fetched.ts';
import { parseMetrics, type Sample } from './metrics-page.ts';
import { freePort } from './ports.ts';
import { type Child, startChild, until } from './process.ts';

const SECTIONS = ['receivers', 'processors', 'exporters', 'connectors', 'extensions'] as const;
/** What older releases, of which a component may be, call it. */
const FORMER_NAMES: Readonly<Record<string, string>> = { load_balancing: 'loadbalancing' };
const START_MS = 60_000;

type Section = (typeof SECTIONS)[number];
type Pipeline = Partial<Record<'receivers' | 'processors' | 'exporters', string[]>>;

/** A configuration of the Collector, as far as the harness touches it. */
export interface OtelcolConfig extends Partial<Record<Section, Record<string, unknown>>> {
  service: { extensions?: string[]; telemetry?: object; pipelines: Record<string, Pipeline> };
}

export interface Otelcol {
  readonly child: Child;
  readonly otlpPort: number;
  readonly otlpGrpcEndpoint: string;
  readonly folder: string;
  /** Its metrics about itself. */
  metrics(): Promise<Sample[]>;
  stop(): Promise<void>;
}

export interface OtelcolOptions {
  readonly folder: string;
  readonly config: OtelcolConfig;
  readonly env?: Readonly<Record<string, string>>;
  /** Of OTLP over gRPC; a free one where not given. */
  readonly port?: number;
}

export const otelcolBinary = (): Fetched => fetched('get-otelcol.sh');

const path = (): string => pathOf(otelcolBinary());

/** Runs the binary to its end; fails with what it says. */
function ask(args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
  const { status, stdout, stderr } = spawnSync(path(), args, { encoding: 'utf8', env });
  if (status !== 0) throw new Error(`otelcol ${args.join(' ')}: ${stderr.trim() || stdout.trim()}`);
  return stdout;
}

/**
 * A configuration of this repository for the binary at hand: what that lacks is cut out and named in `lacking`, what it
 * knows under a former name is called so.
 */
export function readOtelcolConfig(file: string): { config: OtelcolConfig; lacking: readonly string[] } {
  const url = new URL(`../../${file}`, import.meta.url);
  const config = parse(readFileSync(url, 'utf8')) as OtelcolConfig;
  const known = parse(ask(['components'])) as Record<Section, readonly { name: string }[]>;
  const lacking: string[] = [];
  /** By the names in the file; undefined is cut out. */
  const names = new Map<string, string | undefined>();
  for (const section of SECTIONS) {
    const has = new Set(known[section].map(({ name }) => name));
    for (const [id, settings] of Object.entries(config[section] ?? {})) {
      const [type = '', ...name] = id.split('/');
      const former = FORMER_NAMES[type] ?? '';
      const found = [type, former].find((each) => has.has(each));
      if (found === type) continue;
      delete config[section]?.[id];
      const now = found === undefined ? undefined : [found, ...name].join('/');
      names.set(id, now);
      if (now === undefined) lacking.push(`${section}/${id}`);
      else config[section] = { ...config[section], [now]: settings };
    }
  }
  const renamed = (ids: readonly string[] = []): string[] =>
    ids.map((id) => (names.has(id) ? names.get(id) : id)).filter((id) => id !== undefined);
  config.service.extensions = renamed(config.service.extensions);
  for (const pipeline of Object.values(config.service.pipelines)) {
    for (const role of ['receivers', 'processors', 'exporters'] as const)
      pipeline[role] = renamed(pipeline[role]);
  }
  return { config, lacking };
}

/** Fails with the Collector's words when it does not take the configuration. */
export function validateOtelcolConfig(folder: string, config: OtelcolConfig): void {
  const file = join(folder, 'validate.yaml');
  writeFileSync(file, stringify(config));
  ask(['validate', '--config', file]);
}

/** Starts a Collector on free ports of loopback in place of those that `config` has; resolves when it is ready. */
export async function startOtelcol(options: OtelcolOptions): Promise<Otelcol> {
  const { folder, env } = options;
  const [otlpPort, httpPort, healthPort, metricsPort] = await Promise.all([
    options.port ?? freePort(),
    freePort(),
    freePort(),
    freePort(),
  ]);
  const config = structuredClone(options.config);
  const at = (port: number) => ({ endpoint: `127.0.0.1:${port}` });
  config.receivers = { ...config.receivers, otlp: { protocols: { grpc: at(otlpPort), http: at(httpPort) } } };
  config.extensions = { ...config.extensions, health_check: at(healthPort) };
  config.service.extensions = [...new Set([...(config.service.extensions ?? []), 'health_check'])];
  const reader = { pull: { exporter: { prometheus: { host: '127.0.0.1', port: metricsPort } } } };
  config.service.telemetry = { metrics: { level: 'normal', readers: [reader] }, logs: { level: 'error' } };
  const file = join(folder, `otelcol-${otlpPort}.yaml`);
  writeFileSync(file, stringify(config));
  const child = await startChild(path(), ['--config', file], { env: { ...process.env, ...env } });
  await until(
    'the Collector to be ready',
    async () => {
      if (child.exit()) throw new Error(`the Collector ended at start:\n${child.stderr()}`);
      return fetch(`http://127.0.0.1:${healthPort}`).then(
        ({ ok }) => ok,
        () => false,
      );
    },
    START_MS,
  );
  return {
    ...{ child, otlpPort, folder },
    otlpGrpcEndpoint: `http://127.0.0.1:${otlpPort}`,
    metrics: async () => parseMetrics(await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()),
    stop: async () => void (await child.stop('SIGTERM', 20_000)),
  };
}

/** All values of one metric added up, those with other `labels` left out; its name without Prometheus' `_total`. */
export function sumOf(samples: readonly Sample[], metric: string, labels: Sample['labels'] = {}): number {
  const matches = (sample: Sample): boolean =>
    (sample.name === metric || sample.name === `${metric}_total`) &&
    Object.entries(labels).every(([key, value]) => sample.labels[key] === value);
  return samples.filter(matches).reduce((sum, { value }) => sum + value, 0);
}
