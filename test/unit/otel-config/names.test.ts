import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { COUNTERS } from '../../../src/records.gen.ts';
import { ATTRIBUTES } from '../../../src/spans/attributes.ts';
import { OUTCOMES } from '../../../src/spans/outcome.ts';
import { PHASES } from '../../../src/spans/phases.ts';
import { allExpressions, DASHBOARDS, namesIn, readDashboard, readRules } from '../../harness/promql.ts';

const folder = new URL('../../../otel-config/', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, folder), 'utf8');

interface CollectorConfig {
  readonly connectors: {
    readonly span_metrics: { readonly dimensions: readonly { readonly name: string }[] };
  };
  readonly service: {
    readonly extensions: readonly string[];
    readonly pipelines: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  };
}
const collector = parse(read('collector.yaml')) as CollectorConfig & Readonly<Record<string, object>>;

/** What a label may be compared with, where hopspan decides on its values. */
const VALUES: Readonly<Record<string, ReadonlySet<string>>> = {
  span_name: new Set(Object.keys(PHASES)),
  hopspan_outcome: new Set(Object.keys(OUTCOMES)),
  reason: new Set([...Object.keys(COUNTERS), 'undrained', 'turnsRefused', 'networkEventsLost']),
  telemetry_distro_name: new Set(['hopspan']),
  span_kind: new Set(['SPAN_KIND_SERVER', 'SPAN_KIND_CLIENT', 'SPAN_KIND_INTERNAL']),
  state: new Set(['exported', 'dropped']),
  /** hopspan's own service, as the Collector names its job. */
  job: new Set(['hopspan']),
};

describe('rules and dashboards', () => {
  for (const { where, expr } of allExpressions()) {
    it(`${where}: compares labels with values that exist`, () => {
      const { selectors } = namesIn(expr);
      assert.ok(selectors.length > 0, 'names no series');
      for (const { matchers } of selectors) {
        for (const [label, pattern] of matchers) {
          if (pattern.startsWith('$')) continue; // a variable of the dashboard
          const values = VALUES[label];
          assert.ok(values, `the label ${label}`);
          for (const value of pattern.split('|')) assert.ok(values.has(value), `${label}="${value}"`);
        }
      }
    });
  }

  it('use recorded series that are recorded', () => {
    const recorded = new Set(readRules().map(({ record }) => record));
    const used = allExpressions().flatMap(({ expr }) => namesIn(expr).selectors);
    for (const { metric } of used) if (metric.includes(':')) assert.ok(recorded.has(metric), metric);
  });

  it('say what a person should do: a comment before each rule, a summary and a description in each alert', () => {
    const lines = read('prometheus/hopspan.rules.yml').split('\n');
    const rules = lines.flatMap((line, at) => (/^ {6}- (record|alert):/.test(line) ? [at] : []));
    for (const at of rules) assert.match(lines[at - 1] ?? '', /^ {6}# +\S/, lines[at]);
    for (const { alert, annotations } of readRules()) {
      if (alert) assert.deepEqual(Object.keys(annotations ?? {}), ['summary', 'description'], alert);
    }
    const alerts = lines.filter((line) => /^ {6}- alert:/.test(line)).length;
    assert.equal(lines.filter((line) => /^ {6}# What to do: /.test(line)).length, alerts);
  });

  it('use data sources that are provisioned', () => {
    const { datasources } = parse(read('grafana/provisioning/datasources/hopspan.yaml')) as {
      datasources: { uid: string; jsonData?: object }[];
    };
    const uids = new Set(datasources.map(({ uid }) => uid));
    for (const name of DASHBOARDS) {
      for (const panel of readDashboard(name).panels) {
        for (const { datasource } of [panel, ...panel.targets])
          assert.ok(uids.has(datasource.uid), panel.title);
      }
    }
    const named = JSON.stringify(datasources).matchAll(/"datasourceUid":"([^"]*)"/g);
    for (const [, uid = ''] of named) assert.ok(uids.has(uid), uid);
  });
});

describe('collector.yaml', () => {
  const used = Object.values(collector.service.pipelines);
  const usedAs = (role: string): readonly string[] => used.flatMap((pipeline) => pipeline[role] ?? []);

  it('defines every component that it uses, and uses every one that it defines', () => {
    const connectors = Object.keys(collector.connectors);
    const defined = (section: string): readonly string[] => Object.keys(collector[section] ?? {});
    const compare = (uses: readonly string[], names: readonly string[]): void =>
      assert.deepEqual([...new Set(uses)].toSorted(), names.toSorted());
    compare(usedAs('receivers'), [...defined('receivers'), ...connectors]);
    compare(usedAs('exporters'), [...defined('exporters'), ...connectors]);
    compare(usedAs('processors'), defined('processors'));
    compare(collector.service.extensions, defined('extensions'));
  });

  it('reads attributes that hopspan sets', () => {
    const dimensions = collector.connectors.span_metrics.dimensions.map(({ name }) => name);
    const conditions = [...read('collector.yaml').matchAll(/attributes\["([^"]*)"\]/g)].map(
      ([, name = '']) => name,
    );
    assert.ok(dimensions.length > 0 && conditions.length > 0);
    for (const name of [...dimensions, ...conditions, 'peer.service']) assert.ok(name in ATTRIBUTES, name);
  });

  it('measures before it drops: nothing samples on the way to the metrics', () => {
    const measuring = used.filter(({ exporters }) => exporters?.includes('span_metrics'));
    assert.deepEqual(
      measuring.flatMap(({ processors = [] }) => processors),
      ['memory_limiter'],
    );
  });
});

describe('tempo.yaml', () => {
  it('makes metrics of attributes that hopspan sets', () => {
    const tempo = parse(read('tempo.yaml')) as {
      metrics_generator: { processor: Record<string, Record<string, string[]>> };
      overrides: { defaults: { metrics_generator: { processors: string[] } } };
    };
    const { span_metrics, service_graphs } = tempo.metrics_generator.processor;
    for (const name of [...(span_metrics?.dimensions ?? []), ...(service_graphs?.peer_attributes ?? [])]) {
      assert.ok(name in ATTRIBUTES, name);
    }
    const switchedOn = tempo.overrides.defaults.metrics_generator.processors;
    assert.deepEqual(switchedOn.toSorted(), ['service-graphs', 'span-metrics']);
  });
});

describe('docs/tempo.md', () => {
  it('asks for attributes that hopspan sets, and for phases that there are', () => {
    const text = readFileSync(new URL('../docs/tempo.md', folder), 'utf8');
    const names = [...text.matchAll(/\b(?:span|resource)\.([a-z_.]+)/g)].map(([, name = '']) => name);
    assert.ok(names.length > 10);
    for (const name of names) assert.ok(name in ATTRIBUTES, name);
    const phases = [...text.matchAll(/(?<!\.)\bname = "([^"]*)"/g)].map(([, name = '']) => name);
    assert.ok(phases.length > 3);
    for (const name of phases) assert.ok(name in PHASES, name);
  });
});
