/** Whether a kernel's release, such as `6.12.9-amd64`, is of this version or a later one. */
export function isKernelSince(
  release: string,
  [major, minor]: readonly [major: number, minor: number],
): boolean {
  const [, ownMajor = '0', ownMinor = '0'] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return Number(ownMajor) > major || (Number(ownMajor) === major && Number(ownMinor) >= minor);
}
