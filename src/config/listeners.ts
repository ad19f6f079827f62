import { type Check, warnAtKey } from './check.ts';
import type {
  Config,
  HealthCheckConfig,
  ListenAddress,
  MetricReaderConfig,
  OtlpReceiverConfig,
} from './types.ts';

const LOOPBACK = /^(?:127(?:\.\d{1,3}){3}|::1|localhost)$/i;

export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/** An address on which hopspan answers whoever asks. */
export interface Listener {
  /** What listens there, by its place in the file. */
  readonly path: readonly string[];
  readonly listen: ListenAddress;
}

/** Those of a configuration; nothing else of hopspan listens anywhere. */
export function listenersOf(
  config: Pick<Config, 'otlpReceivers' | 'healthCheck'> & {
    readonly telemetry: Pick<Config['telemetry'], 'metricReaders'>;
  },
): Listener[] {
  return [
    ...config.otlpReceivers.flatMap(ofReceiver),
    ...ofHealthCheck(config.healthCheck),
    ...ofReaders(config.telemetry.metricReaders),
  ];
}

function ofReceiver({ name, ...protocols }: OtlpReceiverConfig): Listener[] {
  return (['grpc', 'http'] as const).flatMap((protocol) => {
    const listen = protocols[protocol]?.listen;
    return listen ? { path: ['receivers', name, 'protocols', protocol, 'endpoint'], listen } : [];
  });
}

function ofHealthCheck(healthCheck: HealthCheckConfig | undefined): Listener[] {
  return healthCheck
    ? [{ path: ['extensions', 'health_check', 'endpoint'], listen: healthCheck.listen }]
    : [];
}

function ofReaders(readers: readonly MetricReaderConfig[]): Listener[] {
  return readers.flatMap((reader, index) => {
    if (reader.kind !== 'prometheus') return [];
    const path = [
      'service',
      'telemetry',
      'metrics',
      'readers',
      String(index),
      'pull',
      'exporter',
      'prometheus',
      'host',
    ];
    return { path, listen: reader.listen };
  });
}

const WHAT = {
  receivers: 'send spans',
  extensions: 'ask for its health',
  service: 'read its metrics',
} as const;

/** A line for each address that more than this machine can reach: it should be meant so. */
export function warnOfPublic(check: Check, listeners: readonly Listener[]): void {
  for (const { path, listen } of listeners) {
    if (isLoopback(listen.host)) continue;
    const [part = 'service'] = path as readonly (keyof typeof WHAT)[];
    warnAtKey(
      check,
      path,
      `anybody who can reach ${listen.host} can ${WHAT[part]}: hopspan asks for no credentials there`,
    );
  }
}
