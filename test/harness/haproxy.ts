import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { awaitListening } from './ports.ts';
import { startChild } from './process.ts';
import type { Listener, ProxyLogEntry, ProxyOptions, RunningProxy } from './proxy.ts';
import { joinAddress, logNumber, proxyFolder, proxyHandle, resolveListeners } from './proxy.ts';

export interface HaproxyOptions extends ProxyOptions {
  /** Connection attempts after the first; 3 where not given, as HAProxy's own default. */
  readonly retries?: number;
  /** A master that starts the worker; SIGUSR2 to it reloads. */
  readonly masterWorker?: boolean;
  /** With `http`: clients and upstreams speak HTTP/2 without TLS. */
  readonly http2?: boolean;
  /** More lines for the `defaults` section. */
  readonly defaults?: string;
}

// %U counts the bytes read from the client, %B those sent to it; "ts" is the termination state.
const LOG_FORMAT = [
  '"client":"%ci"',
  '"clientPort":%cp',
  '"listenerPort":%fp',
  '"upstreamLocalPort":"%bp"',
  '"upstreamPort":"%sp"',
  '"flags":"%ts"',
  '"bytesFromClient":"%U"',
  '"bytesToClient":"%B"',
  '"durationMs":"%Tt"',
].join(',');

/** Starts HAProxy in `mode tcp` with one frontend and one backend per listener; resolves when it listens. */
export async function startHaproxy(options: HaproxyOptions): Promise<RunningProxy> {
  const listeners = await resolveListeners(options.listeners);
  const name = options.name ?? 'haproxy';
  const folder = proxyFolder(name);
  const logFile = join(folder, 'access.jsonl');
  const config = join(folder, 'haproxy.cfg');
  writeFileSync(config, configuration(options, listeners));
  const stdoutFd = openSync(logFile, 'a');
  const binary = existsSync('/usr/sbin/haproxy') ? '/usr/sbin/haproxy' : 'haproxy';
  const child = await startChild(binary, [...(options.masterWorker ? ['-W'] : []), '-db', '-f', config], {
    stdoutFd,
    /* A master takes its workers along on SIGTERM; killed, it would leave them behind. */
    parentDeathSignal: options.masterWorker ? 'TERM' : 'KILL',
  }).finally(() => closeSync(stdoutFd));
  const stillAlive = (): void => {
    if (child.exit()) throw new Error(`HAProxy ended at start:\n${child.stderr()}`);
  };
  for (const { port } of listeners) await awaitListening(port, stillAlive);
  return proxyHandle({ kind: 'haproxy', name, listeners, child, folder, logFile, parse });
}

function configuration(options: HaproxyOptions, listeners: readonly Listener[]): string {
  const protocol = options.http2 ? 'proto h2' : '';
  const idleMs = options.idleTimeoutMs ?? 3_600_000;
  const sections = listeners.map(
    ({ host, port, upstreamHost, upstreamPort }, at) => `
frontend front_${at}
  bind ${joinAddress(host, port)} backlog 4096 ${protocol} ${options.downstreamTls ? `ssl crt ${options.downstreamTls.bothFile}` : ''}
  default_backend back_${at}
backend back_${at}
  ${upstreamPort === undefined ? '' : `server upstream ${joinAddress(upstreamHost, upstreamPort)} ${protocol} ${options.upstreamTls ? 'ssl verify none' : ''}`}`,
  );
  return `
global
  nbthread ${options.concurrency ?? 2}
  maxconn 9500
  log stdout format raw local0 info
defaults
  mode ${options.http ? 'http' : 'tcp'}
  log global
  log-format '{${LOG_FORMAT}}'
  retries ${options.retries ?? 3}
  timeout connect ${options.connectTimeoutMs ?? 5000}ms
  timeout client ${idleMs}ms
  timeout server ${idleMs}ms
  ${options.http ? `timeout http-request ${idleMs}ms` : ''}
  ${options.defaults ?? ''}
${sections.join('')}
`;
}

function parse(line: Record<string, unknown>): ProxyLogEntry {
  const local = logNumber(line.upstreamLocalPort);
  const upstream = logNumber(line.upstreamPort);
  return {
    clientAddress: String(line.client),
    clientPort: logNumber(line.clientPort),
    listenerPort: logNumber(line.listenerPort),
    // HAProxy writes 0 or "-" when no connection was made.
    ...(local > 0 ? { upstreamLocalPort: local } : {}),
    ...(upstream > 0 ? { upstreamPort: upstream } : {}),
    flags: String(line.flags),
    bytesFromClient: logNumber(line.bytesFromClient),
    bytesToClient: logNumber(line.bytesToClient),
    durationMs: logNumber(line.durationMs),
  };
}
