import { METRICS, type MetricMeaning, type MetricName, prometheusName } from './metric-table.ts';

export const METRICS_BEGIN = '<!-- from here on written by scripts/metrics-reference.ts -->';
export const METRICS_END = '<!-- up to here written by scripts/metrics-reference.ts -->';

/** The table of docs/metrics.md. */
export function metricsMarkdown(): string {
  const rows = (Object.entries(METRICS) as [MetricName, MetricMeaning][]).map(
    ([name, { kind, unit, by, meaning }]) => {
      const labels = by.map((label) => `\`${label}\``).join(', ') || '–';
      return `| \`${name}\`<br>\`${prometheusName(name)}\` | ${kind} | \`${unit}\` | ${labels} | ${meaning} |`;
    },
  );
  return [
    '| metric, and its name in Prometheus | kind | unit | by | |',
    '|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}
