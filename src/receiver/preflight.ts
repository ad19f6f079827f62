import { required } from '../doctor/examine.ts';
import { throwFailure } from '../doctor/finding.ts';
import { type Machine, thisMachine } from '../doctor/machine.ts';

/**
 * Looks whether the probes can be loaded at all, before anything is.
 * @throws HopspanError KERNEL_TOO_OLD, BTF_MISSING, KERNEL_LOCKDOWN, LIBBPF_MISSING, BPF_LOAD_FAILED (not
 * built) or NOT_PRIVILEGED, in one sentence with the remedy.
 */
export function preflight(machine: Machine = thisMachine()): void {
  throwFailure(required(machine));
}
