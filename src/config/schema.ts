import type { z } from 'zod';
import { list, optional, optionalSection, required, section } from './fields.ts';
import { FILE_RULE, HOST_RULE, LISTEN_RULE } from './otlp-rules.ts';
import {
  booleanRule,
  durationMsRule,
  durationNsRule,
  integerRule,
  oneOfRule,
  type Rule,
  textRule,
} from './rules.ts';
import { OTLP, OTLP_HTTP } from './schema-otlp.ts';
import { OTLP_RECEIVER } from './schema-receiver-otlp.ts';
import { EXECUTABLE_RULE, PATH_RULE, PID_RULE, PORT_RULE, SERVICE_NAME_RULE } from './target-rules.ts';

const RING_MINIMUM = 65_536;
const RING_MAXIMUM = 1_073_741_824;

/** 64 KiB is the largest page size of Linux (arm64), so every power of two from there on fits every machine. */
const RING_BYTES_RULE: Rule<number> = {
  expected: `a power of two from ${RING_MINIMUM} to ${RING_MAXIMUM} bytes`,
  parse: (value) => {
    const bytes = integerRule(RING_MINIMUM, RING_MAXIMUM).parse(value);
    return bytes !== undefined && Number.isInteger(Math.log2(bytes)) ? bytes : undefined;
  },
};

const TARGET = section({
  executable: optional(
    EXECUTABLE_RULE,
    undefined,
    '',
    'Watch every process whose executable has this basename.',
  ),
  path: optional(PATH_RULE, undefined, '', 'Watch every process that runs this file.'),
  pid: optional(PID_RULE, undefined, '', 'Watch this one process.'),
  listen_port: optional(PORT_RULE, undefined, '', 'Watch the processes that listen on this TCP port.'),
  service_name: optional(
    SERVICE_NAME_RULE,
    undefined,
    "`OTEL_SERVICE_NAME`, else the executable's name",
    '`service.name` of the watched process.',
  ),
});

const EBPF = section({
  targets: list(TARGET, {
    accepts: 'a list of targets',
    default: 'executables `envoy`, `nginx`, `haproxy`',
    meaning:
      'The processes to watch. Each item has exactly one of `executable`, `path`, `pid`, `listen_port`.',
  }),
  max_connections: optional(
    integerRule(1, 4_194_304),
    65_536,
    '65536',
    'Connections followed at the same time, both sides counted; those above it are counted as lost.',
  ),
  ring_buffer_bytes: optional(
    RING_BYTES_RULE,
    16_777_216,
    '16777216',
    'Size of the buffer between kernel and hopspan.',
  ),
  max_head_bytes: optional(
    integerRule(0, 16_383),
    8_192,
    '8192',
    'Bytes of an HTTP message head that are looked at; 0: HTTP is a stream of bytes like any other.',
  ),
  turns: optional(
    oneOfRule('auto', 'off'),
    'auto',
    'auto',
    'Pair by turns of the event loop what ends or begins TLS; `auto`: count them in such processes only.',
  ),
  query_strings: optional(
    booleanRule(),
    false,
    'false',
    'Keeps the query strings of HTTP requests, which may hold secrets: `url.query`, and in `url.full`.',
  ),
  header_diff: optional(
    booleanRule(),
    false,
    'false',
    'Names of the headers that a proxy added, removed, re-cased or rewrote, on the spans; never a value.',
  ),
  host_events: optional(
    booleanRule(),
    true,
    'true',
    'Events on the spans that they overlap: a proxy that was frozen or killed, changes of links, addresses, routes.',
  ),
  idle_timeout: optional(
    durationMsRule('1ms', '24h'),
    5_000,
    '5s',
    'An exchange that has its answer and was quiet for this long is exported.',
  ),
  phase_floor: optional(
    durationNsRule('0s', '1h'),
    0,
    '0s',
    'Phases shorter than this get no span of their own; their times stay on the hop span as attributes.',
  ),
  unsampled: optional(
    oneOfRule('drop', 'keep'),
    'drop',
    'drop',
    "`drop`: no spans of requests whose caller's context says that it is not sampled. `keep`: spans, with the caller's flags.",
  ),
});

const CONSOLE = section({
  color: optional(
    oneOfRule('auto', 'always', 'never'),
    'auto',
    'auto',
    'Colours; `auto`: on a terminal only.',
  ),
  format: optional(
    oneOfRule('waterfall', 'json'),
    'waterfall',
    'waterfall',
    'Trees with bars to scale, or OTLP/JSON with one export request a line.',
  ),
});

const FILE = section({
  path: required(FILE_RULE, 'The file to append to, as OTLP/JSON with one export request a line.'),
});

const COMPONENT_LIST = 'a list of component names';

export const PIPELINE = section({
  receivers: list(required(textRule('the name of a receiver'), ''), {
    accepts: COMPONENT_LIST,
    default: 'required',
    meaning: 'Where the spans come from: names under `receivers`.',
  }),
  processors: list(required(textRule('the name of a processor'), ''), {
    accepts: COMPONENT_LIST,
    default: 'none',
    meaning: 'What is done with them, in this order: names under `processors`.',
  }),
  exporters: list(required(textRule('the name of an exporter'), ''), {
    accepts: COMPONENT_LIST,
    default: 'required',
    meaning: 'Where they go: names under `exporters`.',
  }),
});

/** The Collector's keys (OpenTelemetry configuration schema, MeterProvider). */
const METRIC_READER = section({
  periodic: optionalSection({
    exporter: section({ otlp: optionalSection({}) }),
  }),
  pull: optionalSection({
    exporter: section({
      prometheus: section({
        host: optional(
          HOST_RULE,
          '127.0.0.1',
          '127.0.0.1',
          'Where to listen for Prometheus, which finds all metrics under `/metrics`.',
        ),
        port: optional(integerRule(0, 65_535), 9464, '9464', 'Its port; 0: any free one.'),
      }),
    }),
  }),
});

const HEALTH_CHECK = section({
  endpoint: optional(
    LISTEN_RULE,
    { host: '127.0.0.1', port: 13_133 },
    '127.0.0.1:13133',
    'Where to listen for `/healthz` and `/readyz`.',
  ),
});

export const TELEMETRY = section({
  logs: section({
    level: optional(
      oneOfRule('debug', 'info', 'warn', 'error'),
      'info',
      'info',
      'How much hopspan tells on stderr.',
    ),
    encoding: optional(
      oneOfRule('console', 'json'),
      'console',
      'console',
      '`console`: lines for people; `json`: an object a line, with `level`, `ts` and `msg`.',
    ),
    sampling: section({
      enabled: optional(
        booleanRule(),
        true,
        'true',
        'Bounds lines of the same level and message; how many were left out is said.',
      ),
      tick: optional(
        durationMsRule('100ms', '1h'),
        10_000,
        '10s',
        'The interval over which they are counted.',
      ),
      initial: optional(
        integerRule(1, 1_000_000),
        10,
        '10',
        'Of each such line so many are written in an interval.',
      ),
      thereafter: optional(integerRule(0, 1_000_000), 100, '100', 'Then every so many-th one; 0: none.'),
    }),
  }),
  metrics: section({
    level: optional(
      oneOfRule('none', 'normal'),
      undefined,
      'none',
      '`normal`: metrics of hops and of hopspan itself ([metrics.md](metrics.md)). It is `normal` where `readers` are given.',
    ),
    readers: list(METRIC_READER, {
      accepts: 'a list of readers',
      default: 'one `periodic`, where the level is `normal`',
      meaning: 'Who gets the metrics. Each item has exactly one of `periodic`, `pull`.',
    }),
  }),
});

/** `service`, but for the names of components in it. */
export const SERVICE = section({
  shutdown_timeout: optional(
    durationMsRule('100ms', '10m'),
    3_500,
    '3500ms',
    'How long hopspan sends what it still has when it is told to end; all in all it takes some tenths of a second more.',
  ),
  telemetry: TELEMETRY,
});

/** The components that exist, by the type that stands before the `/` of their names. */
export const RECEIVERS = { ebpf: EBPF, otlp: OTLP_RECEIVER };
export { PROCESSORS } from './schema-processors.ts';
export const EXPORTERS = { otlp: OTLP, otlphttp: OTLP_HTTP, console: CONSOLE, file: FILE };
export const EXTENSIONS = { health_check: HEALTH_CHECK };

export type ParsedEbpf = z.infer<typeof EBPF>;
export type ParsedOtlpReceiver = z.infer<typeof OTLP_RECEIVER>;
export type ParsedOtlp = z.infer<typeof OTLP>;
/** `traces_endpoint` is the HTTP exporter's own; the gRPC one may turn into one by a variable. */
export type ParsedOtlpHttp = ParsedOtlp & Partial<Pick<z.infer<typeof OTLP_HTTP>, 'traces_endpoint'>>;
export type ParsedConsole = z.infer<typeof CONSOLE>;
export type ParsedFile = z.infer<typeof FILE>;
export type ParsedHealthCheck = z.infer<typeof HEALTH_CHECK>;
export type ParsedTelemetry = z.infer<typeof TELEMETRY>;
