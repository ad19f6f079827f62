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

/** A service's own user, as by AmbientCapabilities= of systemd. */
export const userWith = (capabilities: readonly string[]): string[] => [
  ...['setpriv', '--reuid', NOBODY, '--regid', NOBODY, '--clear-groups'],
  ...['bounding-set', 'inh-caps', 'ambient-caps'].flatMap((each) => [`--${each}`, set(capabilities)]),
];

const GIVE_FOLDER = `for last; do :; done; chown ${NOBODY} "$(dirname "$last")" && exec "$@"`;

/** As `userWith`, for `startHopspan`: the folder of its configuration, the last argument, is given to the user. */
export const ownerWith = (capabilities: readonly string[]): string[] => [
  ...['/bin/sh', '-c', GIVE_FOLDER, 'sh'],
  ...userWith(capabilities),
];
