import { HopspanError } from '../errors.ts';
import type { Need } from '../privileges/needed.ts';
import type { ProbeOptions } from '../receiver/probes.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

const ITEM = 'probes';

/** What was attached beside the probes that must be. */
export interface Trialled {
  readonly acceptHook: boolean;
  /** Whether freezes of processes are told. */
  readonly freezeHooks: boolean;
  /** Why the turns of an event loop cannot be counted. */
  readonly turns: string | undefined;
  /** What of this process's capabilities is needed later. */
  readonly needs: readonly Need[];
}

/** What the trial of one receiver showed. */
export interface TrialResult {
  readonly finding: Finding;
  /** Undefined where it failed. */
  readonly needs?: readonly Need[];
}

/** Loads and attaches the probes, closes them again, and says what was among them. */
export type Trial = (options: ProbeOptions & { readonly turns?: 'auto' | 'off' }) => Trialled;

/** What `examine` says instead of trying what cannot work. */
export function untried(): TrialResult {
  return {
    finding: fail(
      'BPF_LOAD_FAILED',
      ITEM,
      'not tried, because of what failed above',
      'mend that, then run hopspan doctor again.',
    ),
  };
}

/** The proof: what the kernel answers counts more than all signs. */
export function checkTrial(trial: Trial, options: ProbeOptions): TrialResult {
  try {
    const trialled = trial(options);
    return { finding: describe(trialled, options), needs: trialled.needs };
  } catch (error) {
    if (!(error instanceof HopspanError)) throw error;
    return { finding: fail(error.code, ITEM, refusal(error.message), remedyFor(error.message)) };
  }
}

function describe({ acceptHook, freezeHooks, turns }: Trialled, { hostEvents }: ProbeOptions): Finding {
  const lacksFreezes = hostEvents === true && !freezeHooks;
  if (turns !== undefined)
    return warn(
      ITEM,
      `loaded and attached, but no turns of event loops can be counted (${turns})`,
      'what ends TLS stays unpaired; the line "turns" has the reason, or in a container its seccomp profile, which must allow perf_event_open.',
    );
  if (acceptHook && lacksFreezes)
    return warn(
      ITEM,
      'loaded and attached, but this kernel lacks the tracepoints that tell of frozen processes',
      'a proxy that was stopped looks like one that was slow; say host_events: false where that will do.',
    );
  if (acceptHook)
    return ok(
      ITEM,
      'loaded and attached: raw tracepoints by BTF, accept hook by cgroup, event loop turns by uprobe',
    );
  return warn(
    ITEM,
    'loaded and attached: raw tracepoints by BTF, but no accept hook',
    'accept waits count as read waits; the line "accept hook" or "cgroup v2" has the reason.',
  );
}

/** The message without its advice, which is to run this command; the verifier's lines stay. */
function refusal(message: string): string {
  const [first = '', ...log] = message.split('\n');
  return [first.replace(/; run "hopspan doctor".*$/, ''), ...log].join('\n');
}

function remedyFor(message: string): string {
  if (/\b(EPERM|EACCES)\b/.test(message) && !message.includes('\n'))
    return 'in a container, allow the system call bpf in its seccomp profile; on a host, look for a security module that forbids BPF.';
  if (/\b(ENOMEM|E2BIG)\b/.test(message))
    return 'lower receivers.ebpf.max_connections or ring_buffer_bytes, or raise the memory limit of the container.';
  return 'this kernel differs from those that hopspan was tried on: report these lines together with "uname -r".';
}
