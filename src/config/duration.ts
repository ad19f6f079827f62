/** Go's time units in nanoseconds (https://pkg.go.dev/time#ParseDuration); both ways to write µ. */
const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

const TERM = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gy;

/** Nanoseconds of a Go duration ("1m30s", "200ms", "1.5h", "0"); undefined for anything else, and for less than 0. */
export function parseDurationNs(text: string): number | undefined {
  if (/^\+?0$/.test(text)) return 0;
  const terms = text.startsWith('+') ? text.slice(1) : text;
  let totalNs = 0;
  let end = 0;
  for (const match of terms.matchAll(TERM)) {
    totalNs += Number(match[1]) * (UNIT_NS[match[2] ?? ''] ?? Number.NaN);
    end = match.index + match[0].length;
  }
  return end > 0 && end === terms.length ? Math.round(totalNs) : undefined;
}
