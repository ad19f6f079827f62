import type { HopSpan, HrTime } from '../../src/spans/hop-span.ts';

/** A span whose ids consist of one digit. */
export function spanAt(digit: number, end: HrTime): HopSpan {
  return {
    traceId: `${digit}`.repeat(32),
    spanId: `${digit}`.repeat(16),
    traceFlags: 1,
    name: 'hop',
    kind: 'SERVER',
    start: end,
    end,
    attributes: {},
    events: [],
    links: [],
    resource: { attributes: {} },
  };
}
