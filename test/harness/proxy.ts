import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Certificate } from './certificate.ts';
import { freePort } from './ports.ts';
import { type Child, descendants, trySignal, until } from './process.ts';

/** One relayed port. Hosts are IP addresses, 127.0.0.1 where not given. */
export interface ListenerOptions {
  /** A free one where not given. */
  readonly port?: number;
  readonly host?: string;
  /** Where not given, the proxy has nowhere to go (not with nginx, which refuses such a configuration). */
  readonly upstreamPort?: number;
  readonly upstreamHost?: string;
}

export interface ProxyOptions {
  readonly listeners: readonly ListenerOptions[];
  readonly name?: string;
  /** Worker threads (Envoy, HAProxy) or processes (nginx); 2 where not given. */
  readonly concurrency?: number;
  readonly connectTimeoutMs?: number;
  /** Without traffic in either direction the proxy closes; an hour where not given. */
  readonly idleTimeoutMs?: number;
  /** Speaks HTTP itself in place of relaying bytes; Envoy merges this into its HTTP connection manager. */
  readonly http?: Readonly<Record<string, unknown>>;
  /** Ends TLS with this certificate; a proxy that speaks HTTP itself. */
  readonly downstreamTls?: Certificate;
  /** Speaks TLS with its upstreams, whoever they say they are. */
  readonly upstreamTls?: boolean;
}

/** What one line of each proxy's access log says about a connection that has ended. */
export interface ProxyLogEntry {
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly listenerPort: number;
  /** The proxy's own port of its connection to the upstream; nginx does not log it. */
  readonly upstreamLocalPort?: number;
  readonly upstreamPort?: number;
  /** Envoy's response flags, HAProxy's two-letter termination state, nginx' session status. */
  readonly flags: string;
  readonly bytesFromClient: number;
  readonly bytesToClient: number;
  readonly durationMs: number;
}

export interface Listener {
  readonly host: string;
  readonly port: number;
  readonly upstreamHost: string;
  readonly upstreamPort: number | undefined;
}

/** A running proxy. */
export interface RunningProxy<Entry extends ProxyLogEntry = ProxyLogEntry> {
  readonly kind: 'envoy' | 'nginx' | 'haproxy';
  readonly name: string;
  readonly listeners: readonly Listener[];
  /** The first listener's. */
  readonly port: number;
  readonly pid: number;
  readonly child: Child;
  /** The process and its workers. */
  pids(): number[];
  /** Waits until the log has at least that many lines. */
  accessLog(atLeast?: number): Promise<Entry[]>;
  /** To the process and its workers. */
  kill(signal: NodeJS.Signals): void;
  /** Ends it and removes its folder; may be called twice. What the access log held at the end can still be read. */
  stop(): Promise<void>;
}

export async function resolveListeners(listeners: readonly ListenerOptions[]): Promise<Listener[]> {
  return Promise.all(
    listeners.map(async ({ host = '127.0.0.1', port, upstreamHost = '127.0.0.1', upstreamPort }) => ({
      host,
      port: port ?? (await freePort(host)),
      upstreamHost,
      upstreamPort,
    })),
  );
}

const folders = new Set<string>();
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A temporary folder that is gone at the latest when this process exits. */
export function proxyFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `hopspan-${name}-`));
  folders.add(folder);
  return folder;
}

/** Brackets an IPv6 address, as the proxies' configurations and logs write it. */
export function joinAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The inverse of `joinAddress`; undefined for anything else, such as the "-" of an unknown address. */
export function splitAddress(text: unknown): { address: string; port: number } | undefined {
  const match = typeof text === 'string' ? /^\[?([0-9a-fA-F.:]+?)\]?:(\d+)$/.exec(text) : null;
  return match?.[1] && match[2] ? { address: match[1], port: Number(match[2]) } : undefined;
}

/** Makes the handle common to all proxies; `parse` turns one line of JSON into an entry. */
export function proxyHandle<Entry extends ProxyLogEntry>(parts: {
  readonly kind: RunningProxy['kind'];
  readonly name: string;
  readonly listeners: readonly Listener[];
  readonly child: Child;
  readonly folder: string;
  readonly logFile: string;
  readonly parse: (line: Record<string, unknown>) => Entry;
}): RunningProxy<Entry> {
  const { child, folder, logFile, parse } = parts;
  let kept: Entry[] | undefined;
  const read = (): Entry[] => {
    const text = readFileSync(logFile, 'utf8');
    // The last line may still be in the writing.
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    return lines.filter((line) => line.startsWith('{')).map((line) => parse(JSON.parse(line)));
  };
  return {
    kind: parts.kind,
    name: parts.name,
    listeners: parts.listeners,
    port: parts.listeners[0]?.port ?? 0,
    pid: child.pid,
    child,
    pids: () => descendants(child.pid),
    accessLog: async (atLeast = 0) => {
      let entries: Entry[] = [];
      await until(`${atLeast} lines in the access log of ${parts.name}`, () => {
        entries = kept ?? read();
        return entries.length >= atLeast;
      });
      return entries;
    },
    kill: (signal) => {
      if (child.exit() === undefined) for (const pid of descendants(child.pid)) trySignal(pid, signal);
    },
    stop: async () => {
      await child.stop();
      kept ??= read();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A number out of a log; 0 for "-" and null, which the proxies write for "never happened". */
export function logNumber(value: unknown): number {
  const number = Number(value);
  return Number.isFinite(number) ? number : 0;
}
