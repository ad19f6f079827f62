import type { Attributes, HopResource, HopSpan, HrTime, SpanKind } from '../../src/spans/hop-span.ts';

/** 2026-01-02T03:04:05Z. */
export const EPOCH_S = 1_767_323_045;

export function makeResource(service: string, pid = 4711): HopResource {
  return {
    attributes: {
      'service.name': service,
      'service.instance.id': `${service}-${pid}`,
      'process.pid': pid,
      'process.executable.name': 'envoy',
      'process.executable.path': '/usr/local/bin/envoy',
      'host.name': 'host-a',
      'telemetry.distro.name': 'hopspan',
    },
  };
}

function hexId(number: number, digits: number): string {
  return (number + 1).toString(16).padStart(digits, '0');
}

/** `offsetUs` microseconds after `EPOCH_S`. */
export function at(offsetUs: number): HrTime {
  const us = Math.round(offsetUs * 1000);
  return [EPOCH_S + Math.floor(us / 1e9), us % 1e9];
}

export interface ExchangeOptions {
  readonly resource?: HopResource;
  readonly traceNumber?: number;
  readonly firstSpanNumber?: number;
  readonly parentSpanId?: string;
  readonly startUs?: number;
  readonly attributes?: Attributes;
  readonly error?: string;
}

function hopAttributes(port: number): Attributes {
  return {
    'network.transport': 'tcp',
    'network.type': 'ipv4',
    'network.peer.address': '127.0.0.1',
    'network.peer.port': port,
    'network.local.address': '127.0.0.1',
    'network.local.port': 8000,
    'client.address': '127.0.0.1',
    'server.address': '127.0.0.1',
    'server.port': 8000,
    'hopspan.pairing': 'buffer',
    'hopspan.connection.id': 'c0ffee00c0ffee01',
    'hopspan.connection.reused': false,
    'hopspan.exchange.number': 1,
    'hopspan.worker': 'wrk:worker_0',
    'hopspan.close.by': 'client',
    'hopspan.close.how': 'fin',
    'hopspan.outcome': 'ok',
    'hopspan.read_wait.duration': 0.00008,
    'hopspan.forward.duration': 0.00005,
    'hopspan.tcp.rtt': 0.000031,
  };
}

/** One exchange of a TCP proxy: a hop with seven phases, 12.41 ms long, as `docs/spans.md` draws it. */
export function makeExchange(options: ExchangeOptions = {}): HopSpan[] {
  const { traceNumber = 0, firstSpanNumber = traceNumber * 8, startUs = 0 } = options;
  const resource = options.resource ?? makeResource('edge');
  const id = (n: number) => hexId(firstSpanNumber + n, 16);
  const span = (
    n: number,
    parent: number | undefined,
    name: string,
    kind: SpanKind,
    fromUs: number,
    toUs: number,
    attributes: Attributes,
  ): HopSpan => ({
    traceId: hexId(traceNumber, 32),
    spanId: id(n),
    ...(parent !== undefined ? { parentSpanId: id(parent) } : {}),
    traceFlags: 1,
    name,
    kind,
    start: at(startUs + fromUs),
    end: at(startUs + toUs),
    attributes,
    events: [],
    links: [],
    resource,
  });
  const worker = { 'hopspan.worker': 'wrk:worker_0' };
  const [hop, ...phases] = [
    span(0, undefined, 'tcp proxy :8000', 'SERVER', 0, 12_410, {
      ...hopAttributes(51_234),
      ...options.attributes,
    }),
    span(1, 0, 'accept wait', 'INTERNAL', 0, 20, worker),
    span(2, 0, 'read wait', 'INTERNAL', 20, 100, worker),
    span(3, 0, 'forward', 'INTERNAL', 100, 150, worker),
    span(4, 0, 'tcp upstream :8080', 'CLIENT', 150, 12_350, { ...worker, 'peer.service': 'backend' }),
    span(5, 4, 'connect', 'INTERNAL', 150, 290, worker),
    span(6, 4, 'upstream wait', 'INTERNAL', 300, 12_320, worker),
    span(7, 0, 'answer forward', 'INTERNAL', 12_350, 12_410, worker),
  ] as [HopSpan, ...HopSpan[]];
  const { parentSpanId, error } = options;
  const root = {
    ...hop,
    ...(parentSpanId !== undefined ? { parentSpanId } : {}),
    ...(error !== undefined ? { error } : {}),
  };
  return [root, ...phases];
}
