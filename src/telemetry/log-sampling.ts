export interface LogSamplingOptions {
  readonly enabled: boolean;
  /** The interval over which lines are counted. Milliseconds. */
  readonly tickMs: number;
  /** Lines of one kind that are written in each interval. */
  readonly initial: number;
  /** Of those behind them every so many-th one is written; 0: none. */
  readonly thereafter: number;
}

/** Kinds of lines that are counted at a time; those on top are all written. */
const MAX_KINDS = 4096;

/** Left out within one interval. */
export interface LeftOut {
  readonly kind: string;
  readonly count: number;
}

/** Bounds how often lines of one kind are written, so that what goes wrong thousands of times a second floods no disk. */
export interface LogSampling {
  /** Whether a line of this kind is to be written now. */
  admits(kind: string): boolean;
  /** Ends the interval, and says what it left out. */
  endTick(): LeftOut[];
}

export function createLogSampling({ enabled, initial, thereafter }: LogSamplingOptions): LogSampling {
  let seen = new Map<string, { lines: number; leftOut: number }>();
  return {
    admits(kind) {
      if (!enabled) return true;
      let counts = seen.get(kind);
      if (!counts) {
        if (seen.size >= MAX_KINDS) return true;
        counts = { lines: 0, leftOut: 0 };
        seen.set(kind, counts);
      }
      const behind = ++counts.lines - initial;
      if (behind <= 0 || (thereafter > 0 && behind % thereafter === 0)) return true;
      counts.leftOut++;
      return false;
    },
    endTick() {
      const ended = seen;
      seen = new Map();
      return [...ended].flatMap(([kind, { leftOut: count }]) => (count > 0 ? [{ kind, count }] : []));
    },
  };
}
