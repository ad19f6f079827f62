import type { MetricAdvice, MetricOptions } from '@opentelemetry/api';
import { METRICS, type MetricName } from './metric-table.ts';

/** Name and options of one of the SDK's instruments, as the table has them. */
export function instrument(name: MetricName, advice: MetricAdvice = {}): [string, MetricOptions] {
  const { unit, meaning } = METRICS[name];
  return [name, { unit, description: meaning, advice }];
}
