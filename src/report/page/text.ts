import type { HrTime } from '../../spans/hop-span.ts';

export { formatNs } from '../../exporter/console/text.ts';

const NS_PER_MS = 1e6;
const UNITS = [
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'µs'],
] as const;

/** `2026-01-02 03:04:05.678` in UTC; further digits where `digits` asks for them. */
export function formatTime([seconds, nanos]: HrTime, digits = 3): string {
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
  return digits === 0 ? whole : `${whole}.${String(nanos).padStart(9, '0').slice(0, digits)}`;
}

export const formatClock = (time: HrTime, digits = 3): string => formatTime(time, digits).slice(11);

export function toMs([seconds, nanos]: HrTime): number {
  return seconds * 1000 + nanos / NS_PER_MS;
}

/** A round duration without the digits that measurements have: `20 ms`, `10 min`. */
export function formatRound(ns: number): string {
  const minutes = ns / 60e9;
  if (minutes >= 2 && Number.isInteger(minutes))
    return minutes % 60 === 0 ? `${minutes / 60} h` : `${minutes} min`;
  for (const [unit, name] of UNITS) if (ns >= unit * 0.999) return `${Math.round(ns / unit)} ${name}`;
  return `${Math.round(ns)} ns`;
}

/** `12 345` */
export function formatCount(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** `1 hop`, `12 345 hops` */
export function countOf(count: number, noun: string): string {
  return `${formatCount(count)} ${count === 1 ? noun : `${noun}s`}`;
}

/** A share as a person says it; what is not all never reads as 100 %, nor what is something as 0 %. */
export function formatShare(part: number, of: number): string {
  if (of === 0) return '–';
  const percent = (100 * part) / of;
  if (part > 0 && percent < 0.1) return '< 0.1 %';
  if (part < of && percent > 99.9) return '> 99.9 %';
  if (percent > 99 && part < of) return `${(Math.floor(percent * 10) / 10).toFixed(1)} %`;
  return percent < 10 && percent > 0 ? `${percent.toFixed(1)} %` : `${Math.round(percent)} %`;
}
