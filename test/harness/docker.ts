import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Fetched, fetched } from './fetched.ts';
import { type Child, startChild, until } from './process.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const START_MS = 60_000;
/** For containers to end, and for what a killed run left behind. */
const STOP_MS = 60_000;

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** 60 s where not given. */
  readonly timeoutMs?: number;
  /** Exit codes that are none of an error; 0 where not given. */
  readonly codes?: readonly number[];
}

/** What a command wrote to its standard output and to its standard error. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** A Docker engine of the test's own: its network, its files and its containers are nobody else's. */
export interface Docker {
  /** Runs a shell command in this checkout and in the engine's network, where published ports are; it has `docker`. */
  run(command: string, options?: RunOptions): Promise<Output>;
  /** Ends the containers, then the engine. */
  stop(): Promise<void>;
}

/** The folder with engine and Debian. */
export const dockerFolder = (): Fetched => fetched('get-docker.sh');

/** Starts an engine that keeps everything in `state`; it ends itself and its containers when this process dies. */
export async function startDocker(folder: string, state: string): Promise<Docker> {
  const engineOptions = { parentDeathSignal: 'TERM' } as const;
  const script = fileURLToPath(new URL('docker/engine.sh', import.meta.url));
  const name = `hopspan-test-${process.pid}`;
  /* Each becomes the next, so the engine has the pid of the first. */
  const args = ['--net', '--mount', script, join(folder, 'engine'), state, name];
  const engine = await startChild('unshare', args, engineOptions);
  await engine.line(/waiting for tap0/);
  /* Out of the engine's network by this machine's sockets: no address, no rule and no route of it is touched. */
  const network = await startChild('nsenter', [
    ...['--target', `${engine.pid}`, '--mount', 'slirp4netns', '--configure', '--mtu=65520'],
    ...['--disable-host-loopback', `${engine.pid}`, 'tap0'],
  ]);

  async function run(
    command: string,
    { env, timeoutMs = 60_000, codes = [0] }: RunOptions = {},
  ): Promise<Output> {
    const inside = ['--target', `${engine.pid}`, '--net', '--mount', 'bash', '-ec'];
    const child: Child = await startChild('nsenter', [...inside, `cd "${ROOT}"\n${command}`], {
      env: { PATH: '/usr/sbin:/usr/bin', HOME: state, DOCKER_HOST: `unix://${state}/docker.sock`, ...env },
    });
    const timer = setTimeout(() => void child.stop(), timeoutMs);
    const { code, signal } = await child.exited.finally(() => clearTimeout(timer));
    const output = { stdout: child.stdout(), stderr: child.stderr() };
    if (code === null || !codes.includes(code))
      throw new Error(`${command.trim()} ended by ${signal ?? code}:\n${output.stdout}${output.stderr}`);
    return output;
  }

  async function stop(): Promise<void> {
    await engine.stop('SIGTERM', STOP_MS);
    await network.stop();
    for (const mount of ['/sys/fs/cgroup', '/sys/fs/cgroup/unified']) removeGroups(join(mount, name));
  }

  await until(
    'the Docker engine to answer',
    async () => {
      for (const each of [engine, network])
        if (each.exit())
          throw new Error(`the Docker engine ended at start:\n${each.stdout()}${each.stderr()}`);
      return run('docker version').then(
        () => true,
        () => false,
      );
    },
    START_MS,
  );
  return { run, stop };
}

/** The engine leaves the group of its containers and those of its builds; a group with processes cannot be removed. */
function removeGroups(path: string): void {
  if (!existsSync(path)) return;
  for (const each of readdirSync(path, { withFileTypes: true })) {
    if (each.isDirectory()) removeGroups(join(path, each.name));
  }
  rmdirSync(path);
}
