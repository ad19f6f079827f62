import { execFileSync } from 'node:child_process';
import { copyFileSync, linkSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Certificate } from './certificate.ts';
import { awaitListening, freePort } from './ports.ts';
import { startChild } from './process.ts';
import type { Listener, ProxyLogEntry, ProxyOptions, RunningProxy } from './proxy.ts';
import { logNumber, proxyFolder, proxyHandle, resolveListeners, splitAddress } from './proxy.ts';

export interface EnvoyOptions extends ProxyOptions {
  readonly maxConnectAttempts?: number;
  /** Merged into every cluster and into every tcp_proxy filter. */
  readonly cluster?: Readonly<Record<string, unknown>>;
  readonly tcpProxy?: Readonly<Record<string, unknown>>;
  /** Another copy of Envoy than the pinned one. */
  readonly binary?: string;
  /** Opens the admin interface; its port is in the handle. */
  readonly admin?: boolean;
  /** Takes over the listeners of a running Envoy of this kind, which then drains and ends. */
  readonly hotRestartOf?: EnvoyProxy;
}

export interface EnvoyLogEntry extends ProxyLogEntry {
  readonly connectionId: number;
  readonly upstreamConnectionId: number;
  /** Microseconds since the epoch. */
  readonly startUs: number;
  readonly flagsLong: string;
  readonly terminationDetails: string;
  readonly upstreamFailure: string;
  readonly downstreamFailure: string;
  /** `Normal`, `LocalReset`, `RemoteReset`; who reset the connection, as Envoy saw it. */
  readonly downstreamClose: string;
  readonly upstreamClose: string;
  readonly downstreamLocalCloseReason: string;
  readonly upstreamLocalCloseReason: string;
  readonly bytesToUpstream: number;
  readonly bytesFromUpstream: number;
  readonly connectAttempts: number;
}

export interface EnvoyProxy extends RunningProxy<EnvoyLogEntry> {
  readonly adminPort: number | undefined;
  readonly baseId: number;
  readonly epoch: number;
}

const LOG_FORMAT = {
  client: '%DOWNSTREAM_REMOTE_ADDRESS%',
  listener: '%DOWNSTREAM_LOCAL_ADDRESS%',
  upstreamLocal: '%UPSTREAM_LOCAL_ADDRESS%',
  upstreamRemote: '%UPSTREAM_REMOTE_ADDRESS%',
  flags: '%RESPONSE_FLAGS%',
  flagsLong: '%RESPONSE_FLAGS_LONG%',
  terminationDetails: '%CONNECTION_TERMINATION_DETAILS%',
  upstreamFailure: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
  downstreamFailure: '%DOWNSTREAM_TRANSPORT_FAILURE_REASON%',
  downstreamClose: '%DOWNSTREAM_DETECTED_CLOSE_TYPE%',
  upstreamClose: '%UPSTREAM_DETECTED_CLOSE_TYPE%',
  downstreamLocalCloseReason: '%DOWNSTREAM_LOCAL_CLOSE_REASON%',
  upstreamLocalCloseReason: '%UPSTREAM_LOCAL_CLOSE_REASON%',
  bytesFromClient: '%BYTES_RECEIVED%',
  bytesToClient: '%BYTES_SENT%',
  bytesToUpstream: '%UPSTREAM_WIRE_BYTES_SENT%',
  bytesFromUpstream: '%UPSTREAM_WIRE_BYTES_RECEIVED%',
  connectionId: '%CONNECTION_ID%',
  upstreamConnectionId: '%UPSTREAM_CONNECTION_ID%',
  connectAttempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
  durationMs: '%DURATION%',
  startUs: '%START_TIME(%s%6f)%',
};

/** The pinned Envoy; fetched into the cache folder when it is not there. */
export function envoyBinary(): string {
  const script = fileURLToPath(new URL('../../scripts/get-envoy.sh', import.meta.url));
  return execFileSync(script, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
}

/** An Envoy of a name that nobody else on this machine runs. */
export function ownEnvoy(folder: string): string {
  const file = join(folder, `envoy-${process.pid}`);
  try {
    linkSync(envoyBinary(), file);
  } catch {
    copyFileSync(envoyBinary(), file); // another file system
  }
  return file;
}

/** Starts Envoy with one `tcp_proxy` listener and one cluster per entry; resolves when its workers run. */
export async function startEnvoy(options: EnvoyOptions): Promise<EnvoyProxy> {
  const before = options.hotRestartOf;
  const listeners = before ? [...before.listeners] : await resolveListeners(options.listeners);
  const name = options.name ?? 'envoy';
  const folder = proxyFolder(name);
  const logFile = join(folder, 'access.jsonl');
  writeFileSync(logFile, '');
  const adminPort = options.admin ? await freePort() : undefined;
  const config = join(folder, 'envoy.json');
  writeFileSync(config, JSON.stringify(bootstrap(options, listeners, logFile, adminPort), null, 2));
  const baseIdFile = join(folder, 'base-id');
  const epoch = before ? before.epoch + 1 : 0;
  const identity = before
    ? ['--base-id', String(before.baseId), '--restart-epoch', String(epoch)]
    : ['--use-dynamic-base-id', '--base-id-path', baseIdFile];
  const child = await startChild(options.binary ?? envoyBinary(), [
    ...['--config-path', config, '--concurrency', String(options.concurrency ?? 2), ...identity],
    // The line "starting workers" is said at level info by the logger `config`.
    ...['--log-level', 'error', '--component-log-level', 'config:info,main:info'],
    ...['--file-flush-interval-msec', '50', '--drain-time-s', '1', '--parent-shutdown-time-s', '2'],
  ]);
  const stillAlive = (): void => {
    if (child.exit()) throw new Error(`Envoy ended at start:\n${child.stderr()}`);
  };
  await child.line(/starting workers/);
  for (const { port } of listeners) await awaitListening(port, stillAlive);
  const baseId = before?.baseId ?? Number(readFileSync(baseIdFile, 'utf8'));
  const handle = proxyHandle({ kind: 'envoy', name, listeners, child, folder, logFile, parse });
  return { ...handle, adminPort, baseId, epoch };
}

function bootstrap(
  options: EnvoyOptions,
  listeners: readonly Listener[],
  logFile: string,
  adminPort?: number,
): object {
  return {
    node: { id: options.name ?? 'envoy', cluster: 'hopspan-test' },
    static_resources: {
      listeners: listeners.map((each, at) => listener(options, each, at, logFile)),
      clusters: listeners.map((each, at) => cluster(options, each, at)),
    },
    ...(adminPort === undefined ? {} : { admin: { address: socketAddress('127.0.0.1', adminPort) } }),
  };
}

function listener(options: EnvoyOptions, { host, port }: Listener, at: number, logFile: string): object {
  const accessLog = {
    name: 'envoy.access_loggers.file',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
      path: logFile,
      log_format: { json_format: LOG_FORMAT },
    },
  };
  const tcpProxy = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
    stat_prefix: `listener_${at}`,
    cluster: `upstream_${at}`,
    access_log: [accessLog],
    idle_timeout: `${(options.idleTimeoutMs ?? 3_600_000) / 1000}s`,
    ...(options.maxConnectAttempts === undefined ? {} : { max_connect_attempts: options.maxConnectAttempts }),
    ...options.tcpProxy,
  };
  const tcp = { name: 'envoy.filters.network.tcp_proxy', typed_config: tcpProxy };
  return {
    name: `listener_${at}`,
    address: socketAddress(host, port),
    filter_chains: [
      {
        filters: [options.http ? httpManager(options.http, at, accessLog) : tcp],
        ...(options.downstreamTls ? { transport_socket: downstreamTls(options.downstreamTls) } : {}),
      },
    ],
  };
}

function downstreamTls({ keyFile, certFile }: Certificate): object {
  const certificate = { certificate_chain: { filename: certFile }, private_key: { filename: keyFile } };
  return transportSocket('DownstreamTlsContext', { common_tls_context: { tls_certificates: [certificate] } });
}

function transportSocket(type: string, more: object): object {
  const package_ = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: { '@type': `${package_}.${type}`, ...more },
  };
}

function httpManager(more: Readonly<Record<string, unknown>>, at: number, accessLog: object): object {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type':
        'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      stat_prefix: `listener_${at}`,
      access_log: [accessLog],
      route_config: {
        virtual_hosts: [
          {
            name: 'all',
            domains: ['*'],
            routes: [{ match: { prefix: '/' }, route: { cluster: `upstream_${at}`, timeout: '0s' } }],
          },
        ],
      },
      http_filters: [
        {
          name: 'envoy.filters.http.router',
          typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
        },
      ],
      ...more,
    },
  };
}

function cluster(options: EnvoyOptions, { upstreamHost, upstreamPort }: Listener, at: number): object {
  const endpoint = { endpoint: { address: socketAddress(upstreamHost, upstreamPort ?? 0) } };
  const many = 1_000_000;
  return {
    name: `upstream_${at}`,
    type: 'STATIC',
    connect_timeout: `${(options.connectTimeoutMs ?? 5000) / 1000}s`,
    // The default of 1,024 connections would answer more of them with the flag UO.
    circuit_breakers: {
      thresholds: [{ max_connections: many, max_pending_requests: many, max_retries: many }],
    },
    ...(options.upstreamTls
      ? { transport_socket: transportSocket('UpstreamTlsContext', { sni: 'service.test' }) }
      : {}),
    load_assignment: {
      cluster_name: `upstream_${at}`,
      endpoints: upstreamPort === undefined ? [] : [{ lb_endpoints: [endpoint] }],
    },
    ...options.cluster,
  };
}

/** For `cluster`: HTTP/2 to these ports of the loopback address, in turn; to the listener's upstream where none is given. */
export function http2Cluster(ports: readonly number[] = []): Record<string, unknown> {
  const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  return {
    typed_extension_protocol_options: {
      [options]: {
        '@type': `type.googleapis.com/${options}`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    ...(ports.length === 0
      ? {}
      : {
          load_assignment: {
            cluster_name: 'upstream_0',
            endpoints: [
              {
                lb_endpoints: ports.map((port) => ({
                  endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
                })),
              },
            ],
          },
        }),
  };
}

function socketAddress(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}

function parse(line: Record<string, unknown>): EnvoyLogEntry {
  const text = (key: string): string =>
    line[key] === null || line[key] === undefined ? '' : String(line[key]);
  const client = splitAddress(line.client);
  const local = splitAddress(line.upstreamLocal);
  const remote = splitAddress(line.upstreamRemote);
  return {
    clientAddress: client?.address ?? '',
    clientPort: client?.port ?? 0,
    listenerPort: splitAddress(line.listener)?.port ?? 0,
    ...(local ? { upstreamLocalPort: local.port } : {}),
    ...(remote ? { upstreamPort: remote.port } : {}),
    flags: text('flags'),
    flagsLong: text('flagsLong'),
    terminationDetails: text('terminationDetails'),
    upstreamFailure: text('upstreamFailure'),
    downstreamFailure: text('downstreamFailure'),
    downstreamClose: text('downstreamClose'),
    upstreamClose: text('upstreamClose'),
    downstreamLocalCloseReason: text('downstreamLocalCloseReason'),
    upstreamLocalCloseReason: text('upstreamLocalCloseReason'),
    bytesFromClient: logNumber(line.bytesFromClient),
    bytesToClient: logNumber(line.bytesToClient),
    bytesToUpstream: logNumber(line.bytesToUpstream),
    bytesFromUpstream: logNumber(line.bytesFromUpstream),
    connectionId: logNumber(line.connectionId),
    upstreamConnectionId: logNumber(line.upstreamConnectionId),
    connectAttempts: logNumber(line.connectAttempts),
    durationMs: logNumber(line.durationMs),
    startUs: logNumber(line.startUs),
  };
}
