import type { Histogram, MetricData, ResourceMetrics } from '@opentelemetry/sdk-metrics';
import { bucketOf, type Exemplar } from './histogram.ts';
import type { Labels } from './metric-family.ts';
import type { WithExemplars } from './metric-producer.ts';
import { prometheusStem, prometheusUnit } from './metric-table.ts';

const NS_PER_S = 1e9;
const NS_DIGITS = 9;

/** Prometheus' text format, as every version of it reads it; it has no exemplars. */
export const PLAIN_TEXT = 'text/plain; version=0.0.4; charset=utf-8';
/** https://prometheus.io/docs/specs/om/open_metrics_spec/ */
export const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

export type TextType = typeof PLAIN_TEXT | typeof OPEN_METRICS;

/** A sample of a number: the SDK's data point as far as it is needed here. */
interface NumberPoint {
  readonly attributes: object;
  readonly value: number;
}

interface HistogramPoint extends WithExemplars {
  readonly attributes: object;
  readonly value: Histogram;
}

/** All metrics with the names that OpenTelemetry's compatibility rules give them. Histograms have explicit buckets here. */
export function metricsText({ resource, scopeMetrics }: ResourceMetrics, type: TextType): string {
  const open = type === OPEN_METRICS;
  const target = head('target', 'Target metadata', open ? 'info' : 'gauge', open ? '' : '_info');
  const lines = [...target, `target_info${labelText(resource.attributes)} 1`];
  for (const { metrics } of scopeMetrics) for (const metric of metrics) lines.push(...family(metric, open));
  if (open) lines.push('# EOF');
  return `${lines.join('\n')}\n`;
}

function family(metric: MetricData, open: boolean): string[] {
  const { name, unit, description } = metric.descriptor;
  const ending = prometheusUnit(unit);
  const stem = prometheusStem(name, unit);
  const points = metric.dataPoints as readonly (NumberPoint | HistogramPoint)[];
  const counter = 'isMonotonic' in metric && metric.isMonotonic;
  if (counter || !points.some(isHistogram)) {
    const suffix = counter ? '_total' : '';
    const samples = (points as readonly NumberPoint[]).map(
      ({ attributes, value }) => `${stem}${suffix}${labelText(attributes)} ${numberText(value, false)}`,
    );
    /* The older format has no word for a metric apart from its samples. */
    const kind = counter ? 'counter' : 'gauge';
    return [...head(stem, description, kind, open ? '' : suffix, open ? ending : ''), ...samples];
  }
  const samples = (points as readonly HistogramPoint[]).flatMap((point) => histogram(stem, point, open));
  return [...head(stem, description, 'histogram', '', open ? ending : ''), ...samples];
}

function isHistogram(point: NumberPoint | HistogramPoint): point is HistogramPoint {
  return typeof point.value === 'object';
}

function head(stem: string, meaning: string, kind: string, suffix: string, unit = ''): string[] {
  const name = `${stem}${suffix}`;
  const lines = [`# HELP ${name} ${escaped(meaning)}`, `# TYPE ${name} ${kind}`];
  if (unit) lines.push(`# UNIT ${name} ${unit.slice(1)}`);
  return lines;
}

function histogram(stem: string, { attributes, value, exemplars }: HistogramPoint, open: boolean): string[] {
  const { boundaries, counts } = value.buckets;
  const found = new Map<number, Exemplar>();
  if (open) for (const exemplar of exemplars ?? []) found.set(bucketOf(exemplar.ns), exemplar);
  let below = 0;
  const buckets = counts.map((count, index) => {
    below += count;
    const le = numberText(boundaries[index] ?? Number.POSITIVE_INFINITY, open);
    const exemplar = found.get(index);
    const labels = labelText({ ...attributes, le });
    return `${stem}_bucket${labels} ${below}${exemplar ? exemplarText(exemplar) : ''}`;
  });
  const labels = labelText(attributes);
  const sum = `${stem}_sum${labels} ${numberText(value.sum ?? 0, false)}`;
  return [...buckets, sum, `${stem}_count${labels} ${value.count}`];
}

function exemplarText({ traceId, spanId, ns, time }: Exemplar): string {
  const at = `${time[0]}.${String(time[1]).padStart(NS_DIGITS, '0')}`;
  return ` # {trace_id="${traceId}",span_id="${spanId}"} ${ns / NS_PER_S} ${at}`;
}

/** @param canonical as bounds must be in OpenMetrics: never a whole number without a point */
function numberText(value: number, canonical: boolean): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return canonical && Number.isInteger(value) ? `${value}.0` : String(value);
}

function labelText(labels: object): string {
  const pairs = Object.entries(labels as Labels).map(
    ([name, value]) =>
      `${name.replaceAll(/[^a-zA-Z0-9_]/g, '_')}="${escaped(String(value)).replaceAll('"', '\\"')}"`,
  );
  return pairs.length > 0 ? `{${pairs.join(',')}}` : '';
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
