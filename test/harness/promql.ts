import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** A series that an expression selects, with the labels that it names. */
export interface Selector {
  readonly metric: string;
  /** Label name to the value or pattern that it must have. */
  readonly matchers: ReadonlyMap<string, string>;
}

/** What an expression of PromQL names; enough of its grammar for rules and dashboards, and loud about the rest. */
export interface Names {
  readonly selectors: readonly Selector[];
  /** Labels in `by (…)`, `on (…)` and the like. */
  readonly grouping: readonly string[];
}

const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g;
const SELECTOR = /([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?(?!\s*\(|[a-zA-Z0-9_:])/g;
const MATCHER = /([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)\s*"([^"]*)"/g;
const KEYWORDS = new Set(['and', 'or', 'unless', 'by', 'on', 'group_left', 'bool', 'offset', 'Inf', 'NaN']);

export function namesIn(expression: string): Names {
  const grouping: string[] = [];
  const rest = expression
    .replace(GROUPING, (_, labels: string) => {
      grouping.push(...labels.split(',').map((label) => label.trim()));
      return ' ';
    })
    .replace(/\[[^\]]*\]/g, ' ');
  const selectors = [...rest.matchAll(SELECTOR)]
    .filter(([, metric]) => metric !== undefined && !KEYWORDS.has(metric))
    .map(([, metric = '', braces = '']) => ({
      metric,
      matchers: new Map([...braces.matchAll(MATCHER)].map(([, label = '', value = '']) => [label, value])),
    }));
  return { selectors, grouping: grouping.filter((label) => label !== '') };
}

export interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

const fileOf = (path: string): string => new URL(`../../otel-config/${path}`, import.meta.url).pathname;
export const RULES_FILE = fileOf('prometheus/hopspan.rules.yml');
export const RULES_TEST_FILE = fileOf('prometheus/hopspan.rules.test.yml');
export const PROMETHEUS_FILE = fileOf('prometheus/prometheus.yml');

export function readRules(): readonly Rule[] {
  const { groups } = parse(readFileSync(RULES_FILE, 'utf8')) as { groups: { rules: Rule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

export interface Dashboard {
  readonly uid: string;
  readonly panels: readonly {
    readonly title: string;
    readonly datasource: { readonly uid: string };
    readonly targets: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
  }[];
  readonly templating: { readonly list: readonly { readonly query: { readonly query: string } }[] };
}

export const DASHBOARDS = ['hops', 'hopspan'] as const;

export function readDashboard(name: (typeof DASHBOARDS)[number]): Dashboard {
  return JSON.parse(readFileSync(fileOf(`grafana/dashboards/${name}.json`), 'utf8')) as Dashboard;
}

/** Every expression in rules and dashboards, with where it stands. */
export function allExpressions(): readonly { readonly where: string; readonly expr: string }[] {
  const rules = readRules().map(({ record, alert, expr }) => ({ where: record ?? alert ?? '', expr }));
  const boards = DASHBOARDS.flatMap((name) => {
    const { panels, templating } = readDashboard(name);
    const variables = templating.list.map(({ query }) => ({
      where: `${name}: variable`,
      expr: query.query.replace(/^label_values\((.*), (\w+)\)$/, 'sum by ($2) ($1)'),
    }));
    const targets = panels.flatMap((panel) =>
      panel.targets.map(({ expr }) => ({ where: `${name}: ${panel.title}`, expr })),
    );
    return [...variables, ...targets];
  });
  return [...rules, ...boards];
}
