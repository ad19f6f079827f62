import { closeSync, openSync, readSync } from 'node:fs';
import { escapeControl } from '../telemetry/escape.ts';
import {
  buildConsole,
  buildEbpf,
  buildFile,
  buildHealthCheck,
  buildOtlp,
  buildOtlpHttp,
  buildOtlpReceiver,
  buildTelemetry,
} from './build.ts';
import { buildProcessor } from './build-processors.ts';
import { type Check, mappingAt, type Path, parsePart, valueOffset } from './check.ts';
import { checkMapping, componentType, readComponents } from './components.ts';
import { readDocument } from './document.ts';
import { checkReaders, readHealthCheck } from './extensions.ts';
import { listenersOf, warnOfPublic } from './listeners.ts';
import { configInvalid, remarkLines } from './mistakes.ts';
import { warnOfOrder } from './order.ts';
import { type OtlpEnv, readOtlpEnv, readPropagators, readResourceEnv } from './otel-env.ts';
import { checkOtlp, checkOtlpReceiver, checkRoundTrip } from './otlp-checks.ts';
import { readPipelines } from './pipelines.ts';
import { EXPORTERS, PROCESSORS, RECEIVERS, SERVICE } from './schema.ts';
import { checkTargets } from './targets.ts';
import type { Config, ExporterConfig, LoadedConfig } from './types.ts';

const FILE_LIMIT_BYTES = 1024 * 1024;

/**
 * Reads a configuration file of at most 1 MiB, or its text where that is known. Warnings, one line each, go to `onWarning`.
 * Throws CONFIG_INVALID whose message has a line for every mistake: `FILE:LINE:COLUMN: found …, expected …`.
 */
export function loadConfig(
  path: string,
  env: NodeJS.ProcessEnv,
  onWarning?: (line: string) => void,
  text = readConfigText(path),
): Config {
  const { config, warnings } = parseConfig(text, path, env);
  for (const warning of warnings) onWarning?.(warning);
  return config;
}

/** As `loadConfig`, with all that is known of the file. Throws CONFIG_INVALID. */
export function loadFile(path: string, env: NodeJS.ProcessEnv): LoadedConfig {
  return parseConfig(readConfigText(path), path, env);
}

/** As `loadFile`, from text; `fileName` is only what messages call it. */
export function parseConfig(text: string, fileName: string, env: NodeJS.ProcessEnv): LoadedConfig {
  const document = readDocument(text, env);
  const check: Check = { document, mistakes: [...document.mistakes], warnings: [...document.warnings] };
  const config = document.broken ? undefined : readConfig(check, env);
  if (!config || check.mistakes.length > 0) {
    throw configInvalid(remarkLines(check.mistakes, fileName, document.lines));
  }
  const line = (path: Path, text: string): string =>
    remarkLines([{ offset: valueOffset(check, path), text }], fileName, document.lines).join();
  return { config, warnings: remarkLines(check.warnings, fileName, document.lines), line };
}

function readConfig(check: Check, env: NodeJS.ProcessEnv): Config | undefined {
  if (!checkMapping(check, [], ['receivers', 'exporters', 'service'], ['processors', 'extensions']))
    return undefined;
  const receivers = readComponents(check, 'receivers', RECEIVERS);
  checkTargets(check);
  const processors = readComponents(check, 'processors', PROCESSORS);
  const exporters = readComponents(check, 'exporters', EXPORTERS);
  const hasService = checkMapping(
    check,
    ['service'],
    ['pipelines'],
    ['telemetry', 'extensions', 'shutdown_timeout'],
  );
  const pipelines = hasService ? readPipelines(check) : [];
  const { telemetry: telemetryKeys, shutdown_timeout } = mappingAt(check, ['service']) ?? {};
  const service = parsePart(check, SERVICE, { telemetry: telemetryKeys, shutdown_timeout }, ['service']);
  const healthCheck = readHealthCheck(check);
  checkReaders(check);
  const used = (role: 'receivers' | 'processors' | 'exporters', { name }: { name: string }) =>
    pipelines.some((pipeline) => pipeline[role].includes(name));
  const otlpEnv: OtlpEnvs = {
    otlp: someNeedsEnv(check, 'otlp') ? readOtlpEnv(env, check.mistakes) : {},
    otlphttp: someNeedsEnv(check, 'otlphttp') ? readOtlpEnv(env, check.mistakes, 'http/protobuf') : {},
  };
  const resource = readResourceEnv(env, check.mistakes);
  const propagators = readPropagators(env, check.mistakes);
  const telemetry = service && buildTelemetry(service.telemetry, env, check.mistakes);
  const ofRecords = receivers.filter((receiver) => receiver.type === 'ebpf');
  const ofSpans = receivers.filter((receiver) => receiver.type === 'otlp');
  const otlpReceivers = ofSpans.map(({ name, parsed }) => buildOtlpReceiver(name, parsed));
  for (const receiver of otlpReceivers) checkOtlpReceiver(check, receiver);
  const builtExporters = exporters.map((exporter) => buildExporter(check, exporter, otlpEnv));
  for (const exporter of builtExporters)
    if (exporter.type === 'otlp') checkRoundTrip(check, otlpReceivers, exporter);
  const builtProcessors = processors.map((processor) => buildProcessor(check, processor));
  if (!service || !telemetry || check.mistakes.length > 0) return undefined;
  warnOfOrder(check, pipelines, builtProcessors);
  const config: Config = {
    receivers: ofRecords
      .filter((receiver) => used('receivers', receiver))
      .map(({ name, parsed }) => buildEbpf(name, parsed, resource.serviceName)),
    otlpReceivers: otlpReceivers.filter((receiver) => used('receivers', receiver)),
    processors: builtProcessors.filter((processor) => used('processors', processor)),
    exporters: builtExporters.filter((exporter) => used('exporters', exporter)),
    pipelines,
    telemetry,
    shutdownTimeoutMs: service.shutdown_timeout,
    ...(healthCheck ? { healthCheck: buildHealthCheck(healthCheck) } : {}),
    resourceAttributes: resource.attributes,
    propagators,
  };
  warnOfPublic(check, listenersOf(config));
  return config;
}

type ParsedExporter = ReturnType<typeof readComponents<typeof EXPORTERS>>[number];

/** Looks at the file as it stands, so that other mistakes hide none of the variables'. */
function someNeedsEnv(check: Check, type: 'otlp' | 'otlphttp'): boolean {
  const names = Object.keys(mappingAt(check, ['exporters']) ?? {});
  return names
    .filter((name) => componentType(name) === type)
    .some((name) => {
      const { endpoint, traces_endpoint } = mappingAt(check, ['exporters', name]) ?? {};
      return (endpoint ?? traces_endpoint) === undefined;
    });
}

/** The variables as each type of exporter understands them. */
type OtlpEnvs = Readonly<Record<'otlp' | 'otlphttp', OtlpEnv>>;

function buildExporter(check: Check, exporter: ParsedExporter, otlpEnv: OtlpEnvs): ExporterConfig {
  const { name } = exporter;
  switch (exporter.type) {
    case 'console':
      return buildConsole(name, exporter.parsed);
    case 'file':
      return buildFile(name, exporter.parsed);
    case 'otlp': {
      const { parsed } = exporter;
      const built = buildOtlp(name, parsed, parsed.endpoint === undefined ? otlpEnv.otlp : {});
      checkOtlp(check, parsed, built);
      return built;
    }
    case 'otlphttp': {
      const { parsed } = exporter;
      const own = parsed.traces_endpoint ?? parsed.endpoint;
      const built = buildOtlpHttp(name, parsed, own === undefined ? otlpEnv.otlphttp : {});
      checkOtlp(check, parsed, built);
      return built;
    }
  }
}

/**
 * The text of a configuration file. Reads no more than the limit, so that an endless file such as /dev/zero is refused,
 * too. @throws HopspanError CONFIG_INVALID
 */
export function readConfigText(path: string): string {
  const buffer = Buffer.alloc(FILE_LIMIT_BYTES + 1);
  const name = escapeControl(path);
  let length = 0;
  try {
    const file = openSync(path, 'r');
    try {
      for (let count = -1; count !== 0 && length < buffer.length; length += count) {
        count = readSync(file, buffer, length, buffer.length - length, null);
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const reason = escapeControl(error instanceof Error ? error.message : String(error));
    throw configInvalid([`${name}: found no file that can be read (${reason}), expected a YAML file`]);
  }
  if (length > FILE_LIMIT_BYTES)
    throw configInvalid([`${name}: found more than 1 MiB, expected a smaller file`]);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(buffer.subarray(0, length));
  } catch {
    throw configInvalid([`${name}: found bytes that are not UTF-8, expected a text file`]);
  }
}
