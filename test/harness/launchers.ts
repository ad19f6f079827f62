/** A user who owns nothing. */
export const NOBODY = '65534';

const set = (capabilities: readonly string[]): string =>
  ['-all', ...capabilities.map((name) => `+${name}`)].join(',');

/** Root has no more capabilities than the bounding set lets it have; files of its own it may read without any. */
export const rootWith = (capabilities: readonly string[]): string[] => [
  'setpriv',
  '--bounding-set',
  set(capabilities),
];

/** A service's own user, as by AmbientCapabilities= of systemd; the folder of the spans' file is given to it. */
export const userWith = (capabilities: readonly string[]): string[] => [
  ...['/bin/sh', '-c', `chown ${NOBODY} "$(dirname "$5")" && exec setpriv ${userFlags(capabilities)} "$@"`],
  'sh',
];

function userFlags(capabilities: readonly string[]): string {
  const flags = ['bounding-set', 'inh-caps', 'ambient-caps'].map((each) => `--${each} ${set(capabilities)}`);
  return `--reuid ${NOBODY} --regid ${NOBODY} --clear-groups ${flags.join(' ')}`;
}
