import { LineCounter } from 'yaml';
import { buildConsole, buildEbpf, buildOtlp, buildTelemetry } from './build.ts';
import type { Check } from './check.ts';
import { configInvalid, type Remark, remarkLines } from './mistakes.ts';
import { chooseExporters, readOtlpEnv, readPropagators, readResourceEnv, variable } from './otel-env.ts';
import { checkOtlp } from './otlp-checks.ts';
import { EXPORTERS, RECEIVERS, SERVICE } from './schema.ts';
import type { ConfigWithWarnings, ExporterConfig, Target } from './types.ts';

/**
 * The configuration without a file: the known proxies, or `targets` where flags gave some, and the exporters
 * that OTEL_* variables choose, else the console. Throws CONFIG_INVALID, a line for each wrong variable.
 */
export function defaultConfig(env: NodeJS.ProcessEnv, targets?: readonly Target[]): ConfigWithWarnings {
  const mistakes: Remark[] = [];
  const warnings: Remark[] = [];
  const resource = readResourceEnv(env, mistakes);
  const chosen = chooseExporters(env, mistakes);
  const exporters = chosen.map((type): ExporterConfig => {
    if (type === 'console') return buildConsole(type, EXPORTERS.console.parse({}));
    const parsed = EXPORTERS.otlp.parse({});
    const built = buildOtlp(type, parsed, readOtlpEnv(env, mistakes));
    checkOtlp(noFile(mistakes, warnings), parsed, built);
    return built;
  });
  if (chosen.length === 0)
    warnings.push({ text: 'OTEL_* variables ask for no exporter: nothing is exported' });
  else if (!chosen.includes('otlp')) warnings.push(...ignoredVariables(env));

  const propagators = readPropagators(env, mistakes);
  const service = SERVICE.parse({});
  const telemetry = buildTelemetry(service.telemetry, env, mistakes);
  const lines = new LineCounter();
  if (mistakes.length > 0) throw configInvalid(remarkLines(mistakes, '', lines));
  const ebpf = buildEbpf('ebpf', RECEIVERS.ebpf.parse({}), resource.serviceName);
  const named = resource.serviceName === undefined ? {} : { serviceName: resource.serviceName };
  const config = {
    receivers: [{ ...ebpf, targets: targets?.map((target) => ({ ...named, ...target })) ?? ebpf.targets }],
    otlpReceivers: [],
    processors: [],
    exporters,
    pipelines: [{ name: 'traces', receivers: ['ebpf'], processors: [], exporters: chosen }],
    telemetry,
    shutdownTimeoutMs: service.shutdown_timeout,
    resourceAttributes: resource.attributes,
    propagators,
  };
  return { config, warnings: remarkLines(warnings, '', lines) };
}

/** A check whose remarks have no place. */
function noFile(mistakes: Remark[], warnings: Remark[]): Check {
  const document = {
    value: undefined,
    lines: new LineCounter(),
    mistakes: [],
    warnings: [],
    broken: false,
    placeOf: () => undefined,
  };
  return { document, mistakes, warnings };
}

/** Somebody who set these may have expected OTLP; the specification's default would have been that. */
function ignoredVariables(env: NodeJS.ProcessEnv): Remark[] {
  if (variable(env, 'OTEL_TRACES_EXPORTER') !== undefined) return [];
  const names = Object.keys(env).filter(
    (name) => name.startsWith('OTEL_EXPORTER_OTLP_') && variable(env, name),
  );
  const hint =
    'without an endpoint hopspan writes to the console; OTEL_TRACES_EXPORTER=otlp sends to localhost:4317';
  return names.length === 0 ? [] : [{ text: `${names.sort().join(', ')}: not used; ${hint}` }];
}
