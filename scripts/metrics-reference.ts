// Writes the table of docs/metrics.md anew from the code: node scripts/metrics-reference.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { METRICS_BEGIN, METRICS_END, metricsMarkdown } from '../src/telemetry/reference.ts';

const page = new URL('../docs/metrics.md', import.meta.url);
const text = readFileSync(page, 'utf8');
const before = text.slice(0, text.indexOf(METRICS_BEGIN) + METRICS_BEGIN.length);
const after = text.slice(text.indexOf(METRICS_END));
writeFileSync(page, `${before}\n\n${metricsMarkdown()}\n\n${after}`);
