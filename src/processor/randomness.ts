/** 2^56: trace ids hold so many random values (W3C Trace Context Level 2, "Random Trace ID Flag"). */
const MAX = 1n << 56n;
const DIGITS = 14;
/** The Collector's `sampling_precision`: hexadecimal digits of a threshold that count. */
export const PRECISION = 4;

/**
 * The 56 bits that decide on a trace, as 14 hexadecimal digits: `rv` of the `ot` entry of the tracestate, where its root
 * chose one, else the end of the trace id (OpenTelemetry, "TraceState: Probability Sampling").
 */
export function randomnessOf(traceId: string, traceState = ''): string {
  return explicitRandomness(traceState) ?? traceId.slice(-DIGITS);
}

function explicitRandomness(traceState: string): string | undefined {
  if (!traceState.includes('ot=')) return undefined;
  const [, entry] = /(?:^|,)\s*ot=([^,]*)/.exec(traceState) ?? [];
  const [, rv] = /(?:^|;)rv:([0-9a-f]{14})(?:;|\s*$)/.exec(entry ?? '') ?? [];
  return rv;
}

/** Whether traces are kept: those whose randomness is the threshold or above. The same everywhere for the same trace. */
export type KeepTrace = (randomness: string) => boolean;

/** A sampler of so many percent of all traces; 100 and more: all. */
export function keepPercent(percent: number): KeepTrace {
  const threshold = thresholdOf(percent / 100);
  return (randomness) => threshold !== undefined && randomness >= threshold;
}

/**
 * A tracestate whose `ot` entry says that its trace was sampled with this threshold; as it was where that says a higher
 * one, and where it has no room.
 * @param threshold 14 hexadecimal digits
 */
export function withThreshold(traceState: string, threshold: string): string {
  const members = traceState.split(',').map((member) => member.trim());
  const others = members.filter((member) => member !== '' && !member.startsWith('ot='));
  const entry = members.find((member) => member.startsWith('ot='))?.slice(3) ?? '';
  const keys = entry.split(';').filter((key) => key !== '');
  const [known] = keys.flatMap((key) => /^th:([0-9a-f]{1,14})$/.exec(key)?.[1] ?? []);
  if (known !== undefined && known.padEnd(DIGITS, '0') >= threshold) return traceState;
  const th = `th:${threshold.replace(/0+$/, '') || '0'}`;
  const changed = ['ot=', [th, ...keys.filter((key) => !key.startsWith('th:'))].join(';')].join('');
  /* W3C Trace Context, "tracestate Header Field Values": the changed member is the first; 256 characters, 32 members. */
  if (changed.length > 256 || others.length > 31) return traceState;
  return [changed, ...others].join(',');
}

/**
 * The threshold of a probability as 14 hexadecimal digits, rounded as the Collector's `pkg/sampling` rounds with
 * its default precision, so that both decide alike. Undefined where nothing is kept.
 */
export function thresholdOf(probability: number, precision = PRECISION): string | undefined {
  if (probability >= 1) return '0'.repeat(DIGITS);
  const scaled = BigInt(Math.round(probability * 2 ** 56));
  if (scaled <= 0n) return undefined;
  /* Of probabilities near 0 and 1 the first digits are all f or all 0, and do not count. */
  const leading = (value: number): number => Math.max(0, Math.trunc(-(Math.floor(Math.log2(value)) + 1) / 4));
  const digits = Math.min(DIGITS, precision + Math.max(leading(probability), leading(1 - probability)));
  const exact = MAX - scaled;
  const shift = BigInt(4 * (DIGITS - digits));
  const rounded = shift === 0n ? exact : ((exact + (1n << (shift - 1n))) >> shift) << shift;
  return rounded >= MAX ? undefined : rounded.toString(16).padStart(DIGITS, '0');
}
