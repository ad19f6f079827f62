import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { awaitListening } from './ports.ts';
import { descendants, startChild, until } from './process.ts';
import type { Listener, ProxyLogEntry, ProxyOptions, RunningProxy } from './proxy.ts';
import { joinAddress, logNumber, proxyFolder, proxyHandle, resolveListeners, splitAddress } from './proxy.ts';

export interface NginxOptions extends ProxyOptions {
  /** More directives for every `server` block. */
  readonly server?: string;
  /** With `http`: how often the upstream stands in the list of those to try. */
  readonly copies?: number;
  /** With `http`: clients speak HTTP/2 without TLS; upstreams HTTP/1 as ever. */
  readonly http2?: boolean;
}

const MODULE_FOLDERS = ['/usr/lib/nginx/modules', '/usr/lib64/nginx/modules', '/usr/share/nginx/modules'];

const LOG_FORMAT = [
  '"client":"$remote_addr"',
  '"clientPort":"$remote_port"',
  '"listenerPort":"$server_port"',
  '"upstream":"$upstream_addr"',
  '"status":"$status"',
  '"bytesFromClient":"$bytes_received"',
  '"bytesToClient":"$bytes_sent"',
  '"seconds":"$session_time"',
].join(',');

/** Starts nginx with one `stream` server per listener; resolves when it listens and its workers run. */
export async function startNginxStream(options: NginxOptions): Promise<RunningProxy> {
  const listeners = await resolveListeners(options.listeners);
  const name = options.name ?? 'nginx';
  const folder = proxyFolder(name);
  const logFile = join(folder, 'access.jsonl');
  writeFileSync(logFile, '');
  const config = join(folder, 'nginx.conf');
  writeFileSync(config, configuration(options, listeners, folder, logFile));
  const child = await startChild(
    nginxBinary(),
    ['-e', join(folder, 'error.log'), '-p', folder, '-c', config],
    {
      // The master takes its workers along on SIGTERM; killed, it would leave them behind.
      parentDeathSignal: 'TERM',
    },
  );
  const stillAlive = (): void => {
    if (child.exit()) throw new Error(`nginx ended at start:\n${child.stderr()}`);
  };
  for (const { port } of listeners) await awaitListening(port, stillAlive);
  await until('nginx workers', () => {
    stillAlive();
    return descendants(child.pid).length > (options.concurrency ?? 2);
  });
  return proxyHandle({ kind: 'nginx', name, listeners, child, folder, logFile, parse });
}

function nginxBinary(): string {
  return existsSync('/usr/sbin/nginx') ? '/usr/sbin/nginx' : 'nginx';
}

/** Debian builds `stream` as a dynamic module; other builds have it inside. */
function loadModule(): string {
  const file = MODULE_FOLDERS.map((each) => join(each, 'ngx_stream_module.so')).find((each) =>
    existsSync(each),
  );
  if (file) return `load_module ${file};`;
  execFileSync(nginxBinary(), ['-v'], { stdio: 'ignore' });
  return '';
}

function certificateOf({ downstreamTls: tls }: NginxOptions): string {
  return tls ? `ssl_certificate ${tls.certFile}; ssl_certificate_key ${tls.keyFile};` : '';
}

/** Requests over kept upstream connections; no access log. */
function httpBlock(options: NginxOptions, listeners: readonly Listener[]): string {
  const servers = listeners.map(
    ({ host, port, upstreamHost, upstreamPort }, at) => `
      upstream upstream_${at} { 
        ${`server ${joinAddress(upstreamHost, upstreamPort ?? 0)} max_fails=0;`.repeat(options.copies ?? 1)}
        keepalive 64;
      }
      server {
        listen ${joinAddress(host, port)} ${options.http2 ? 'http2' : ''} backlog=4096 ${options.downstreamTls ? 'ssl' : ''};
        ${certificateOf(options)}
        keepalive_requests 1000000;
        client_max_body_size 0;
        location / {
          proxy_pass ${options.upstreamTls ? 'https' : 'http'}://upstream_${at};
          proxy_http_version 1.1;
          proxy_set_header Connection "";
          proxy_set_header Host $http_host;
        }
        ${options.server ?? ''}
      }`,
  );
  return `http { access_log off; ${servers.join('')} }`;
}

function configuration(
  options: NginxOptions,
  listeners: readonly Listener[],
  folder: string,
  logFile: string,
): string {
  const servers = listeners.map(({ host, port, upstreamHost, upstreamPort }) => {
    if (upstreamPort === undefined) throw new Error('nginx needs an upstream port for every listener');
    return `
      server {
        listen ${joinAddress(host, port)} backlog=4096;
        proxy_pass ${joinAddress(upstreamHost, upstreamPort)};
        proxy_connect_timeout ${options.connectTimeoutMs ?? 5000}ms;
        proxy_timeout ${options.idleTimeoutMs ?? 3_600_000}ms;
        ${options.server ?? ''}
      }`;
  });
  const streamBlock = `
    stream {
      log_format truth escape=json '{${LOG_FORMAT}}';
      access_log ${logFile} truth;
      ${servers.join('')}
    }`;
  return `
    ${loadModule()}
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    daemon off;
    worker_processes ${options.concurrency ?? 2};
    worker_rlimit_nofile 20000;
    pid ${join(folder, 'nginx.pid')};
    error_log ${join(folder, 'error.log')} warn;
    events { worker_connections 10000; }
    ${options.http ? httpBlock(options, listeners) : streamBlock}
  `;
}

function parse(line: Record<string, unknown>): ProxyLogEntry {
  const upstream = splitAddress(line.upstream);
  return {
    clientAddress: String(line.client),
    clientPort: logNumber(line.clientPort),
    listenerPort: logNumber(line.listenerPort),
    ...(upstream ? { upstreamPort: upstream.port } : {}),
    flags: String(line.status),
    bytesFromClient: logNumber(line.bytesFromClient),
    bytesToClient: logNumber(line.bytesToClient),
    durationMs: Math.round(logNumber(line.seconds) * 1000),
  };
}
