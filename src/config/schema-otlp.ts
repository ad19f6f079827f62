import { z } from 'zod';
import {
  DEFAULT_HTTP_ENDPOINT,
  DEFAULT_OTLP_OPTIONS,
  DEFAULT_UNWRITTEN_SPANS,
} from '../exporter/otlp/options.ts';
import { FIELD_INFO, optional, section } from './fields.ts';
import {
  ENDPOINT_RULE,
  FILE_RULE,
  HEADER_NAME_RULE,
  HEADER_VALUE_RULE,
  HTTP_ENDPOINT_RULE,
} from './otlp-rules.ts';
import { applyRule, booleanRule, durationMsRule, integerRule, oneOfRule, sizeRule } from './rules.ts';
import { isTextScalar } from './scalar.ts';

/** Only names and positions of headers appear in messages: their values are often credentials. */
const HEADERS = z
  .unknown()
  .transform((value, context): Record<string, string> | undefined => {
    const raw = isTextScalar(value) ? value.typed : value;
    if (raw === undefined || raw === null) return undefined;
    if (typeof raw !== 'object' || Array.isArray(raw)) {
      context.addIssue({ code: 'custom', message: 'a mapping from header names to texts' });
      return z.NEVER;
    }
    const headers: Record<string, string> = {};
    for (const [name, text] of Object.entries(raw)) {
      const key = applyRule(HEADER_NAME_RULE, name);
      const content = applyRule(HEADER_VALUE_RULE, text);
      const complain = (message: string, params: object) =>
        context.addIssue({ code: 'custom', path: [name], message, params });
      if (key === undefined) complain(HEADER_NAME_RULE.expected, { atKey: true });
      if (content === undefined) complain(HEADER_VALUE_RULE.expected, { secret: true });
      if (key !== undefined && content !== undefined) headers[key.toLowerCase()] = content;
    }
    return headers;
  })
  .nullish()
  .register(FIELD_INFO, {
    accepts: 'a mapping from header names to texts',
    default: '`OTEL_EXPORTER_OTLP_HEADERS`, else none',
    meaning:
      'Sent with every request, as gRPC metadata or HTTP headers; credentials for example. Never logged.',
  });

const otlpRetry = DEFAULT_OTLP_OPTIONS.retry;
const fileOrVariable = (variable: string, meaning: string) =>
  optional(FILE_RULE, undefined, `\`OTEL_EXPORTER_OTLP_${variable}\`, else none`, meaning);

/** What both exporters have. */
const COMMON = {
  headers: HEADERS,
  compression: optional(
    oneOfRule('none', 'gzip'),
    undefined,
    '`OTEL_EXPORTER_OTLP_COMPRESSION`, else `none`',
    'Compression of requests.',
  ),
  timeout: optional(
    durationMsRule('1ms', '1h'),
    undefined,
    '`OTEL_EXPORTER_OTLP_TIMEOUT`, else 10s',
    'Limit of one request.',
  ),
  tls: section({
    insecure: optional(
      booleanRule(),
      undefined,
      '`OTEL_EXPORTER_OTLP_INSECURE`, else false',
      'Plain text for an endpoint without a scheme.',
    ),
    ca_file: fileOrVariable(
      'CERTIFICATE',
      'PEM file with the authorities to trust; without it those of Node.',
    ),
    cert_file: fileOrVariable(
      'CLIENT_CERTIFICATE',
      "PEM file with hopspan's own certificate; needs `key_file`.",
    ),
    key_file: fileOrVariable('CLIENT_KEY', 'PEM file with the key of `cert_file`.'),
  }),
  sending_queue: section({
    queue_size: optional(
      integerRule(1, 10_000_000, 'spans'),
      undefined,
      `${DEFAULT_OTLP_OPTIONS.queueSize}; with \`directory\` ${DEFAULT_UNWRITTEN_SPANS}`,
      'The most spans that may wait in memory, with `directory` until they are written; those on top of it are dropped and counted.',
    ),
    directory: optional(
      FILE_RULE,
      undefined,
      'none',
      'A directory for a queue on disk: spans outlive a backend that is away and hopspan itself ([sending](sending.md)). Made if it is not there.',
    ),
    max_size: optional(
      sizeRule('1MiB', '1024GiB'),
      undefined,
      '1GiB',
      'The most bytes of spans that may wait in `directory`; those on top of it are dropped and counted.',
    ),
  }),
  retry_on_failure: section({
    enabled: optional(
      booleanRule(),
      otlpRetry.enabled,
      String(otlpRetry.enabled),
      'Send again what failed for a passing reason.',
    ),
    initial_interval: optional(
      durationMsRule('1ms', '1h'),
      otlpRetry.initialIntervalMs,
      `${otlpRetry.initialIntervalMs / 1000}s`,
      'Wait before the first repetition.',
    ),
    max_interval: optional(
      durationMsRule('1ms', '1h'),
      otlpRetry.maxIntervalMs,
      `${otlpRetry.maxIntervalMs / 1000}s`,
      'The longest wait between repetitions.',
    ),
    max_elapsed_time: optional(
      durationMsRule('0s', '24h'),
      undefined,
      `${otlpRetry.maxElapsedMs / 1000}s; with \`sending_queue.directory\` 0`,
      'A batch is given up after this long; 0 means never.',
    ),
  }),
};

export const OTLP = section({
  endpoint: optional(
    ENDPOINT_RULE,
    undefined,
    '`OTEL_EXPORTER_OTLP_ENDPOINT`, else `http://localhost:4317`',
    'Where to send, by gRPC. `http://` is plain text, `https://` is TLS, without either `tls.insecure` decides. Without a port it is 4317.',
  ),
  ...COMMON,
});

export const OTLP_HTTP = section({
  endpoint: optional(
    HTTP_ENDPOINT_RULE,
    undefined,
    `\`OTEL_EXPORTER_OTLP_ENDPOINT\`, else \`${DEFAULT_HTTP_ENDPOINT}\``,
    'Where to send, by HTTP with protobuf: `/v1/traces` is added to it. Without a port it is 80 or, for `https://`, 443.',
  ),
  traces_endpoint: optional(
    HTTP_ENDPOINT_RULE,
    undefined,
    '`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, else `endpoint`',
    'Where to send, as it stands: nothing is added to it.',
  ),
  ...COMMON,
});
