/** Process exit codes: 2 for what the user wrote, 3 for what the machine lacks. */
export const EXIT_USAGE = 2;
export const EXIT_ENVIRONMENT = 3;

/** Every error that hopspan itself raises, by code; `docs/errors.md` is held against this table by a test. */
export const ERRORS = {
  CONFIG_INVALID: {
    exit: EXIT_USAGE,
    meaning: 'The configuration file, a flag or an OTEL_* variable cannot be used as written.',
  },
} as const satisfies Record<string, { exit: number; meaning: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** An error whose message is one sentence for the user: what, where, what to do. */
export class HopspanError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'HopspanError';
    this.code = code;
  }
  get exitCode(): number {
    return ERRORS[this.code].exit;
  }
}
