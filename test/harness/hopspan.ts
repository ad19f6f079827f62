import { createReadStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { AttributeValue } from '../../src/spans/hop-span.ts';
import { type Child, startChild } from './process.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Long enough for a machine that does much else: loading the probes takes much of a processor for a second. */
const READY_MS = 60_000;

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;

const leftovers: (() => void)[] = [];
process.once('exit', () => {
  for (const remove of leftovers) remove();
});

/** A span as the file exporter wrote it; times in nanoseconds since the epoch. */
export interface FileSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: 'INTERNAL' | 'SERVER' | 'CLIENT';
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly durationMs: number;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly service: string;
  /** `process.pid` of the proxy. */
  readonly pid: number;
  readonly error: string;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly events: readonly FileEvent[];
}

export interface FileEvent {
  readonly name: string;
  readonly timeNs: bigint;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/** `hopspan run` in a process of its own, writing to a file. */
export interface RunningHopspan {
  readonly child: Child;
  /** What a second pipeline without processors exported; for `unprocessed` only. */
  unprocessed(): Promise<FileSpan[]>;
  /** Where a page is, by its path. */
  url(path: string): string;
  /** What a page says, by its path, and with which status. */
  page(path: string): Promise<{ status: number; text: string }>;
  /** What was exported so far. */
  spans(): Promise<FileSpan[]>;
  /**
   * SIGTERM, then everything that was exported. Fails when the exit code is not 0, and at warnings and errors other
   * than those that `expected` matches.
   */
  finish(expected?: RegExp): Promise<FileSpan[]>;
}

export interface HopspanOptions {
  /** YAML lines under `targets:`; Envoy, nginx and HAProxy where not given. */
  readonly targets?: readonly string[];
  readonly receiver?: Readonly<Record<string, string | number>>;
  /** More receivers beside ebpf, by name: YAML of each. */
  readonly receivers?: Readonly<Record<string, string>>;
  /** Processors, by name: YAML of each. */
  readonly processors?: Readonly<Record<string, string>>;
  /** More exporters beside the file, by name: YAML of each. */
  readonly exporters?: Readonly<Record<string, string>>;
  /** A program and its arguments that start hopspan, such as setpriv. */
  readonly launcher?: readonly string[];
  /** `service.telemetry.metrics.level`; hopspan's default where not given. */
  readonly metrics?: 'none' | 'normal';
  /** Beside the pipeline with processors one without them, from the same probes. */
  readonly unprocessed?: boolean;
  /** Serves `/metrics` for Prometheus, `/healthz` and `/readyz`. */
  readonly pages?: boolean;
  /** `service.shutdown_timeout`; long enough for a machine that does much else where not given. */
  readonly shutdownTimeout?: string;
}

const PAGES = [
  '  extensions: [health_check]',
  '  telemetry:',
  '    metrics:',
  '      readers: [{ pull: { exporter: { prometheus: { port: 0 } } } }]',
];

/** Starts `hopspan run` and waits until it is ready. */
export async function startHopspan(options: HopspanOptions = {}): Promise<RunningHopspan> {
  const folder = temporaryFolder((remove) => leftovers.push(remove));
  const path = join(folder, 'spans.jsonl');
  const config = join(folder, 'hopspan.yaml');
  const unprocessed = join(folder, 'unprocessed.jsonl');
  const { receivers = {}, processors = {}, exporters = {} } = options;
  const names = (first: string[], more: object): string => [...first, ...Object.keys(more)].join(', ');
  const targets = options.targets ?? ['executable: envoy', 'executable: nginx', 'executable: haproxy'];
  writeFileSync(
    config,
    [
      'receivers:',
      '  ebpf:',
      '    targets:',
      ...targets.map((target) => `      - ${target}`),
      ...Object.entries(options.receiver ?? {}).map(([key, value]) => `    ${key}: ${value}`),
      ...Object.entries(receivers).map(([name, yaml]) => `  ${name}: ${yaml}`),
      'processors:',
      ...Object.entries(processors).map(([name, yaml]) => `  ${name}: ${yaml}`),
      'exporters:',
      `  file: { path: ${path} }`,
      ...(options.unprocessed ? [`  file/unprocessed: { path: ${unprocessed} }`] : []),
      ...Object.entries(exporters).map(([name, yaml]) => `  ${name}: ${yaml}`),
      'service:',
      `  shutdown_timeout: ${options.shutdownTimeout ?? '15s'}`,
      ...(options.pages ? PAGES : []),
      ...(options.metrics ? [`  telemetry: { metrics: { level: ${options.metrics} } }`] : []),
      '  pipelines:',
      `    traces: { receivers: [${names(['ebpf'], receivers)}], processors: [${names([], processors)}], exporters: [${names(['file'], exporters)}] }`,
      ...(options.unprocessed
        ? ['    traces/unprocessed: { receivers: [ebpf], exporters: [file/unprocessed] }']
        : []),
      ...(options.pages ? ['extensions: { health_check: { endpoint: "127.0.0.1:0" } }'] : []),
    ].join('\n'),
  );
  const command = [...(options.launcher ?? []), process.execPath, MAIN, 'run', '--config', config];
  const child = await startChild(command[0] ?? '', command.slice(1));
  await child.line(/ready/, READY_MS);
  const pages = options.pages ? await child.line(/answering/, READY_MS) : '';
  const url = (path: string): string =>
    pages.match(/http:[^,\s]+/g)?.find((each) => each.endsWith(path)) ?? '';
  return {
    child,
    url,
    async page(path) {
      const response = await fetch(url(path));
      return { status: response.status, text: await response.text() };
    },
    spans: () => readSpans(path, true),
    unprocessed: () => readSpans(unprocessed, true),
    async finish(expected) {
      const exit = await child.stop('SIGTERM', 30_000);
      if (exit.code !== 0)
        throw new Error(`hopspan ended with ${exit.code ?? exit.signal}:\n${child.stderr()}`);
      const complaints = child
        .stderr()
        .split('\n')
        .filter((line) => /warning|error/.test(line) && !expected?.test(line));
      if (complaints.length > 0) throw new Error(`hopspan complained:\n${complaints.join('\n')}`);
      return readSpans(path);
    },
  };
}

const KINDS = ['INTERNAL', 'INTERNAL', 'SERVER', 'CLIENT'] as const;

type RawValue = {
  stringValue?: string;
  intValue?: string;
  doubleValue?: number;
  boolValue?: boolean;
  /** Of texts. */
  arrayValue?: { values: { stringValue: string }[] };
};
type RawAttributes = { key: string; value: RawValue }[];
interface RawSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes?: RawAttributes;
  status?: { code?: number; message?: string };
  links?: { traceId: string; spanId: string }[];
  events?: { name: string; timeUnixNano: string; attributes?: RawAttributes }[];
}
interface RawRequest {
  resourceSpans: { resource: { attributes: RawAttributes }; scopeSpans: { spans: RawSpan[] }[] }[];
}

/** All spans of a file of OTLP/JSON lines; with `growing` a line that is still in the writing is left out. */
export async function readSpans(path: string, growing = false): Promise<FileSpan[]> {
  const spans: FileSpan[] = [];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const request = parseLine(line, growing);
    if (!request) break;
    for (const { resource, scopeSpans } of request.resourceSpans) {
      const { 'service.name': service, 'process.pid': pid } = bag(resource.attributes);
      for (const { spans: raws } of scopeSpans) {
        for (const raw of raws) spans.push(toSpan(raw, String(service), Number(pid)));
      }
    }
  }
  return spans;
}

function parseLine(line: string, growing: boolean): RawRequest | undefined {
  try {
    return JSON.parse(line) as RawRequest;
  } catch (error) {
    if (growing) return undefined;
    throw error;
  }
}

function toSpan(raw: RawSpan, service: string, pid: number): FileSpan {
  const startNs = BigInt(raw.startTimeUnixNano);
  const endNs = BigInt(raw.endTimeUnixNano);
  return {
    traceId: raw.traceId,
    spanId: raw.spanId,
    parentSpanId: raw.parentSpanId ?? '',
    name: raw.name,
    kind: KINDS[raw.kind] ?? 'INTERNAL',
    startNs,
    endNs,
    durationMs: Number(endNs - startNs) / 1e6,
    attributes: bag(raw.attributes),
    service,
    pid,
    error: raw.status?.code === 2 ? (raw.status.message ?? '') : '',
    links: raw.links ?? [],
    events: (raw.events ?? []).map(({ name, timeUnixNano, attributes }) => ({
      name,
      timeNs: BigInt(timeUnixNano),
      attributes: bag(attributes),
    })),
  };
}

function bag(attributes: RawAttributes = []): Record<string, AttributeValue> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ??
        value.arrayValue?.values.map(({ stringValue }) => stringValue) ??
        (value.intValue === undefined
          ? (value.doubleValue ?? value.boolValue ?? '')
          : Number(value.intValue)),
    ]),
  );
}

/** One hop put together again from its spans. */
export interface SeenHop {
  readonly hop: FileSpan;
  readonly upstreams: readonly FileSpan[];
  readonly phases: ReadonlyMap<string, FileSpan>;
}

/**
 * Hops with their upstream spans and phases, by parent; CLIENT spans without a hop are in `loose`. Spans of connections,
 * whose beginning or end is told apart from the exchanges when it lies further away, are no hops.
 */
export function hopsOf(spans: readonly FileSpan[]): { hops: SeenHop[]; loose: FileSpan[] } {
  const children = Map.groupBy(spans, (span) => span.parentSpanId);
  const under = (id: string): FileSpan[] => children.get(id) ?? [];
  const hops = spans
    .filter((span) => span.kind === 'SERVER' && !span.name.startsWith('tcp connection '))
    .map((hop) => {
      const upstreams = under(hop.spanId).filter((span) => span.kind === 'CLIENT');
      const phases = [hop, ...upstreams]
        .flatMap((span) => under(span.spanId))
        .filter((span) => span.kind === 'INTERNAL');
      return { hop, upstreams, phases: new Map(phases.map((phase) => [phase.name, phase])) };
    });
  const known = new Set(spans.map((span) => span.spanId));
  return { hops, loose: spans.filter((span) => span.kind === 'CLIENT' && !known.has(span.parentSpanId)) };
}

/**
 * Complaints about the shape of spans: ids, parents, times. Empty when all is well. `callers` are ids of spans that
 * others made.
 */
export function malformed(spans: readonly FileSpan[], callers: ReadonlySet<string> = new Set()): string[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const complaints: string[] = [];
  if (byId.size !== spans.length) complaints.push(`${spans.length - byId.size} span ids were used twice`);
  for (const span of spans) {
    const name = `${span.service} ${span.name} ${span.spanId}`;
    if (!/^(?!0+$)[0-9a-f]{32}$/.test(span.traceId)) complaints.push(`${name}: bad trace id ${span.traceId}`);
    if (!/^(?!0+$)[0-9a-f]{16}$/.test(span.spanId)) complaints.push(`${name}: bad span id`);
    if (span.endNs < span.startNs) complaints.push(`${name}: ends before it starts`);
    if (span.parentSpanId === '' || callers.has(span.parentSpanId)) continue;
    const parent = byId.get(span.parentSpanId);
    if (!parent) complaints.push(`${name}: its parent is missing`);
    else if (parent.traceId !== span.traceId) complaints.push(`${name}: its parent is in another trace`);
    else if (
      parent.service === span.service &&
      (span.startNs < parent.startNs || span.endNs > parent.endNs)
    ) {
      complaints.push(`${name}: not within its parent ${parent.name}`);
    }
  }
  return complaints;
}
