import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { startChild, until } from './process.ts';
import { PROMETHEUS_FILE, RULES_FILE } from './promql.ts';

export interface Alert {
  readonly state: 'pending' | 'firing';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** One exemplar as the query API gives it out. */
export interface FoundExemplar {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: string;
  readonly timestamp: number;
}

export interface Prometheus {
  alerts(): Promise<readonly Alert[]>;
  /** Those of all series that a query names, since the start. */
  exemplars(query: string): Promise<readonly FoundExemplar[]>;
  stop(): Promise<void>;
}

/** The files of otel-config for Prometheus, settings and rules, with seconds for minutes. */
export function quickFiles(): { readonly settings: string; readonly rules: string } {
  return {
    settings: readFileSync(PROMETHEUS_FILE, 'utf8').replaceAll('_interval: 15s', '_interval: 1s'),
    rules: readFileSync(RULES_FILE, 'utf8')
      .replaceAll('[5m]', '[10s]')
      .replaceAll(/^( *for:) (\d+)m$/gm, '$1 $2s'),
  };
}

/** otel-config's Prometheus with its rules, on what `target` gives out; minutes are made seconds. */
export async function startPrometheus(folder: string, target: string): Promise<Prometheus> {
  const port = await freePort();
  const { settings, rules } = quickFiles();
  const file = join(folder, 'prometheus.yml');
  writeFileSync(file, settings.replace('collector:8889', target));
  writeFileSync(join(folder, 'hopspan.rules.yml'), rules);
  const child = await startChild('prometheus', [
    ...[`--config.file=${file}`, `--storage.tsdb.path=${join(folder, 'prometheus')}`],
    ...[`--web.listen-address=127.0.0.1:${port}`, '--log.level=error'],
    '--enable-feature=exemplar-storage',
  ]);
  const ask = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`);
  await until('Prometheus to be ready', async () => {
    if (child.exit()) throw new Error(`Prometheus ended:\n${child.stderr()}`);
    return ask('/-/ready').then(
      ({ ok }) => ok,
      () => false,
    );
  });
  return {
    alerts: async () => {
      const { data } = (await (await ask('/api/v1/alerts')).json()) as { data: { alerts: Alert[] } };
      return data.alerts;
    },
    exemplars: async (query) => {
      const end = Date.now() / 1000 + 60;
      const answer = await ask(
        `/api/v1/query_exemplars?${new URLSearchParams({ query, start: '0', end: `${end}` })}`,
      );
      const { data } = (await answer.json()) as { data: { exemplars: FoundExemplar[] }[] };
      return data.flatMap(({ exemplars }) => exemplars);
    },
    stop: async () => void (await child.stop()),
  };
}
