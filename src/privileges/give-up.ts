import type { ProcessImage } from '../native/process-image.ts';
import { type Credentials, maskOf, numbersOf } from './capabilities.ts';

const ROOT = 0;

/**
 * Gives up all capabilities but `kept` in the calling thread, and the ways to them: what a program that it becomes has
 * from the start is `kept`, and no program gains more. False when the kernel refuses.
 */
export function giveUp(image: ProcessImage, own: Credentials, kept: bigint): boolean {
  const { effective, permitted } = own;
  const isRoot = own.uid === ROOT;
  /* Root's programs begin with what is permitted; those of other users with what is ambient, so inheritable. */
  const inheritable = isRoot ? 0n : kept;
  if (!image.setCapabilities({ effective, permitted, inheritable })) return false;
  if (!image.setAmbient(isRoot ? [] : numbersOf(kept))) return false;
  if (!image.setNoNewPrivileges()) return false;
  /* Elsewhere than with CAP_SETPCAP the bounding set stays; without new privileges it gives nobody anything. */
  if (effective & maskOf('CAP_SETPCAP'))
    for (const each of numbersOf(own.bounding & ~kept)) image.dropFromBounding(each);
  return image.setCapabilities({ effective: kept, permitted: kept, inheritable });
}

/** Whether `giveUp` would change anything. */
export function hasMoreThan({ permitted, bounding, noNewPrivileges }: Credentials, kept: bigint): boolean {
  const beyond = bounding & ~kept;
  return (
    permitted !== kept || !noNewPrivileges || (beyond !== 0n && (permitted & maskOf('CAP_SETPCAP')) !== 0n)
  );
}

/** Does something with no more than these effective capabilities in the calling thread. */
export function withOnly<T>(image: ProcessImage, own: Credentials, capabilities: bigint, action: () => T): T {
  const sets = { permitted: own.permitted, inheritable: 0n };
  image.setCapabilities({ ...sets, effective: own.effective & capabilities });
  try {
    return action();
  } finally {
    image.setCapabilities({ ...sets, effective: own.effective });
  }
}
