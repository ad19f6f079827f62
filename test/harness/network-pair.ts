import { execFileSync } from 'node:child_process';

/** RFC 2544: for tests of networks, and nowhere routed. */
const PREFIX = '198.18';

/** A network namespace of the test's own, joined to this one by a pair of interfaces. */
export interface NetworkPair {
  /** The interface in this namespace, and its address; both prefixes have 30 bits. */
  readonly near: string;
  /** Its counterpart in the other. */
  readonly far: string;
  readonly nearAddress: string;
  readonly farAddress: string;
  /** Starts a program in the other namespace. */
  readonly launcher: readonly string[];
  /** ip(8) here. */
  ip(...args: string[]): void;
  /** ip(8) there. */
  farIp(...args: string[]): void;
  /** May be called twice. */
  remove(): void;
}

let made = 0;

export function createNetworkPair(): NetworkPair {
  const id = `${process.pid}-${made++}`;
  const name = `hopspan-${id}`;
  const [near, far] = [`hsn${id}`, `hsf${id}`];
  const block = 4 * Math.floor(Math.random() * 16_384);
  const address = (host: number): string => `${PREFIX}.${block >> 8}.${(block & 0xff) + host}`;
  const ip = (...args: string[]): void =>
    void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const farIp = (...args: string[]): void => ip('-n', name, ...args);
  let removed = false;
  const remove = (): void => {
    if (removed) return;
    removed = true;
    ip('link', 'delete', near); // the namespace itself lives as long as a process in it
    ip('netns', 'delete', name);
    process.off('exit', remove);
  };
  ip('netns', 'add', name);
  process.on('exit', remove);
  ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name);
  ip('address', 'add', `${address(1)}/30`, 'dev', near);
  farIp('address', 'add', `${address(2)}/30`, 'dev', far);
  ip('link', 'set', near, 'up');
  farIp('link', 'set', far, 'up');
  return {
    near,
    far,
    nearAddress: address(1),
    farAddress: address(2),
    launcher: ['nsenter', `--net=/run/netns/${name}`],
    ip,
    farIp,
    remove,
  };
}
