/** Process exit codes: 2 for what the user wrote, 3 for what the machine lacks. */
export const EXIT_USAGE = 2;
export const EXIT_ENVIRONMENT = 3;

/** Every error that hopspan itself raises, by code; `docs/errors.md` is held against this table by a test. */
export const ERRORS = {
  BPF_LOAD_FAILED: {
    exit: EXIT_ENVIRONMENT,
    meaning: 'The kernel did not accept a probe, or a part of it could not be set up.',
  },
  BTF_MISSING: {
    exit: EXIT_ENVIRONMENT,
    meaning:
      'The kernel does not describe its own types at /sys/kernel/btf/vmlinux, so the probes cannot be fitted to it.',
  },
  CGROUP_UNAVAILABLE: {
    exit: EXIT_ENVIRONMENT,
    meaning:
      'The unified cgroup hierarchy (version 2), to which a probe attaches, is not mounted or not writable.',
  },
  CONFIG_INVALID: {
    exit: EXIT_USAGE,
    meaning: 'The configuration file, a flag or an OTEL_* variable cannot be used as written.',
  },
  EXPORTER_START_FAILED: {
    exit: EXIT_ENVIRONMENT,
    meaning:
      'An exporter cannot start: a file, a folder, a certificate or a header that it needs cannot be used.',
  },
  KERNEL_LOCKDOWN: {
    exit: EXIT_ENVIRONMENT,
    meaning: 'The kernel is locked down for confidentiality, which forbids probes to read kernel memory.',
  },
  KERNEL_TOO_OLD: {
    exit: EXIT_ENVIRONMENT,
    meaning: 'The kernel is older than 6.3, where the raw tracepoints that the probes use first appeared.',
  },
  LIBBPF_MISSING: {
    exit: EXIT_ENVIRONMENT,
    meaning: 'The library libbpf, which loads the probes, is not installed or is too old.',
  },
  LISTEN_FAILED: {
    exit: EXIT_ENVIRONMENT,
    meaning: 'An address on which hopspan should answer for its health or metrics cannot be listened on.',
  },
  NOT_PRIVILEGED: {
    exit: EXIT_ENVIRONMENT,
    meaning: 'hopspan runs without the rights it needs: root, or CAP_BPF and CAP_PERFMON.',
  },
  RECEIVER_START_FAILED: {
    exit: EXIT_ENVIRONMENT,
    meaning: 'A receiver cannot start: the address on which it should listen cannot be used.',
  },
  RECORDING_INVALID: {
    exit: EXIT_USAGE,
    meaning: 'A recording of kernel records cannot be read, from its beginning or from some point on.',
  },
  RECORDING_NOT_WRITTEN: {
    exit: EXIT_ENVIRONMENT,
    meaning: 'The file of a recording cannot be created, or not be written any further.',
  },
  REPORT_INPUT_INVALID: {
    exit: EXIT_USAGE,
    meaning: 'What a report should be made of cannot be read, or is neither a recording nor spans.',
  },
  REPORT_NOT_WRITTEN: {
    exit: EXIT_ENVIRONMENT,
    meaning: 'The file of a report cannot be created or written.',
  },
  TARGET_NOT_FOUND: {
    exit: EXIT_USAGE,
    meaning: 'A process that was asked for by its id does not exist.',
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
