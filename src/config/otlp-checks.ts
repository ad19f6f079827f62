import { type Check, mistakeAtKey, pathName, warnAtKey } from './check.ts';
import { isLoopback } from './listeners.ts';
import type { ParsedOtlpHttp } from './schema.ts';
import type { OtlpExporterConfig, OtlpReceiverConfig } from './types.ts';

/** Checks of one OTLP exporter that concern more than one key. */
export function checkOtlp(check: Check, parsed: ParsedOtlpHttp, built: OtlpExporterConfig): void {
  const path = ['exporters', built.name];
  const { tls } = built;
  if ((tls.certFile === undefined) !== (tls.keyFile === undefined)) {
    const [one, given, missing] =
      tls.certFile === undefined
        ? [
            'key_file',
            'key without its certificate',
            'tls.cert_file or OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE',
          ]
        : ['cert_file', 'certificate without its key', 'tls.key_file or OTEL_EXPORTER_OTLP_CLIENT_KEY'];
    const text = `found a client ${given} for ${pathName(path)}, expected ${missing}, too`;
    mistakeAtKey(check, [...path, 'tls', one], text);
  }
  const { initialIntervalMs, maxIntervalMs } = built.retry;
  if (initialIntervalMs > maxIntervalMs) {
    const what = `found an initial_interval of ${initialIntervalMs / 1000}s above the max_interval of ${maxIntervalMs / 1000}s`;
    const text = `${what} for ${pathName(path)}, expected at most that`;
    mistakeAtKey(check, [...path, 'retry_on_failure', 'initial_interval'], text);
  }
  const { directory, max_size } = parsed.sending_queue;
  if (directory === undefined && max_size !== undefined) {
    const text = `found max_size without directory for ${pathName(path)}, expected both: it bounds the queue on disk`;
    mistakeAtKey(check, [...path, 'sending_queue', 'max_size'], text);
  }
  if (parsed.tls.insecure !== undefined && parsed.tls.insecure !== tls.insecure) {
    warnAtKey(
      check,
      [...path, 'tls', 'insecure'],
      `tls.insecure is not used: the scheme of ${built.endpoint} decides`,
    );
  } else if (tls.insecure && (tls.caFile ?? tls.certFile) !== undefined) {
    warnAtKey(
      check,
      [...path, 'tls'],
      `the other settings of tls are not used: ${built.endpoint} is plain text`,
    );
  }
  for (const text of endpointWarnings(parsed.endpoint ?? '', built))
    warnAtKey(check, [...path, 'endpoint'], text);
}

/** What is sent to the other protocol's port, or with a path that nobody sees, is mostly not meant so. */
function endpointWarnings(given: string, { protocol, endpoint }: OtlpExporterConfig): string[] {
  if (protocol === 'http/protobuf') {
    if (new URL(endpoint).port !== '4317') return [];
    return ['port 4317 is mostly OTLP over gRPC, for which there is the exporter otlp'];
  }
  const warnings: string[] = [];
  if (/^(?!unix:)[^/]+\/./i.test(given.replace(/^https?:\/\//i, ''))) {
    warnings.push('the path of the endpoint is not used: OTLP over gRPC has none');
  }
  if (endpoint.endsWith(':4318')) {
    warnings.push('port 4318 is mostly OTLP over HTTP, for which there is the exporter otlphttp');
  }
  return warnings;
}

/** An exporter that sends to hopspan's own receiver would have the same spans go round for ever. */
export function checkRoundTrip(
  check: Check,
  receivers: readonly OtlpReceiverConfig[],
  exporter: OtlpExporterConfig,
): void {
  const target = /:\/\/\[?([^\]/]+?)\]?(?::(\d+))?(?:\/.*)?$/.exec(exporter.endpoint);
  if (!target) return;
  const [, host = '', port = exporter.tls.insecure ? 80 : 443] = target;
  for (const { name, grpc, http } of receivers) {
    const listen = (exporter.protocol === 'grpc' ? grpc : http)?.listen;
    if (listen?.port !== Number(port)) continue;
    const { host: own } = listen;
    const open = own === '0.0.0.0' || own === '::';
    if (host !== own && !(isLoopback(host) && (open || isLoopback(own)))) continue;
    const path = ['exporters', exporter.name, 'endpoint'];
    const text = `found ${exporter.endpoint} for ${pathName(path)}, where the receiver ${name} listens, expected another endpoint for one of them`;
    mistakeAtKey(check, path, text);
  }
}

/** A receiver without a protocol would receive nothing. */
export function checkOtlpReceiver(check: Check, built: OtlpReceiverConfig): void {
  const path = ['receivers', built.name, 'protocols'];
  if (!built.grpc && !built.http)
    mistakeAtKey(check, path, `found no protocol for ${pathName(path)}, expected grpc, http or both`);
}
