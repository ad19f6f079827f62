import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { readOtelcolConfig } from './otelcol.ts';
import { quickFiles } from './prometheus.ts';

export const COMPOSE_FILE = 'docker-compose.yml';
/** Services of the tour whose programs can be had as images only. */
const LEFT_OUT = ['grafana', 'tempo'] as const;

export interface ComposeService {
  readonly image: string;
  readonly healthcheck?: object;
  readonly cap_add?: readonly string[];
}

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The services of docker-compose.yml that run where no registry of images is in reach. */
export function tourServices(): Readonly<Record<string, ComposeService>> {
  const compose = parse(read(COMPOSE_FILE), { merge: true }) as { services: Record<string, ComposeService> };
  for (const name of LEFT_OUT) delete compose.services[name];
  return compose.services;
}

/**
 * What the tour needs to run on a test's machine, as a second file for compose, whose path is returned: the services
 * that are left out; the Collector without the components that it lacks here; of this machine's Envoys only the one in
 * the container, since others may be watched by others; seconds for minutes in what is only waited for.
 */
export function writeOverride(folder: string): string {
  const { config } = readOtelcolConfig('otel-config/collector.yaml');
  const { connectors = {}, processors = {} } = config;
  connectors.span_metrics = { ...(connectors.span_metrics as object), metrics_flush_interval: '1s' };
  processors.tail_sampling = { ...(processors.tail_sampling as object), decision_wait: '2s' };
  const { settings, rules } = quickFiles();
  const hopspan = read('deploy/compose/hopspan.yaml');
  const files = {
    'collector.yaml': stringify(config),
    'hopspan.yaml': hopspan.replace('executable: envoy', 'path: /usr/local/bin/envoy'),
    'prometheus/prometheus.yml': settings,
    'prometheus/hopspan.rules.yml': rules,
    'override.yml': stringify({
      services: {
        ...Object.fromEntries(LEFT_OUT.map((name) => [name, { profiles: ['left-out'] }])),
        collector: { volumes: [`${folder}/collector.yaml:/etc/otelcol/collector.yaml:ro`] },
        hopspan: { volumes: [`${folder}/hopspan.yaml:/etc/hopspan/hopspan.yaml:ro`] },
        prometheus: { volumes: [`${folder}/prometheus:/etc/prometheus:ro`] },
      },
    }),
  };
  mkdirSync(join(folder, 'prometheus'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return join(folder, 'override.yml');
}

/** The shell commands of a page in docs/, each block by words that only it has. */
export function commandsOf(page: string): (words: string) => string {
  const blocks = [...read(page).matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text = '']) => text);
  return (words) => {
    const [found, ...more] = blocks.filter((block) => block.includes(words));
    if (found === undefined || more.length > 0) throw new Error(`${page}: not one block has "${words}"`);
    return found;
  };
}
