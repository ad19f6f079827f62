import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type protobuf from 'protobufjs';

/** Wire types of https://protobuf.dev/programming-guides/encoding/; groups (3 and 4) do not exist in proto3. */
export const WIRE = { VARINT: 0, FIXED64: 1, BYTES: 2, FIXED32: 5 } as const;

const SCALARS = {
  string: WIRE.BYTES,
  bytes: WIRE.BYTES,
  bool: WIRE.VARINT,
  int32: WIRE.VARINT,
  int64: WIRE.VARINT,
  uint32: WIRE.VARINT,
  enum: WIRE.VARINT,
  fixed32: WIRE.FIXED32,
  fixed64: WIRE.FIXED64,
  double: WIRE.FIXED64,
} as const satisfies Record<string, number>;

export type ScalarType = keyof typeof SCALARS;

export interface Field {
  readonly number: number;
  /** lowerCamelCase, as in OTLP/JSON. */
  readonly name: string;
  readonly repeated: boolean;
  /** One of several of which one at most is set. */
  readonly oneof: boolean;
  readonly wireType: number;
  readonly type: ScalarType | 'message';
  /** Only of fields of type `message`. */
  readonly message: Message | undefined;
}

export interface Message {
  readonly byNumber: ReadonlyMap<number, Field>;
  readonly byName: ReadonlyMap<string, Field>;
}

const TRACES = 'opentelemetry/proto/collector/trace/v1/trace_service.proto';

/* Large, and needed only where applications' spans come in. */
const load = createRequire(import.meta.url);
let library: typeof protobuf | undefined;
let loaded: protobuf.Root | undefined;
const messages = new Map<protobuf.Type, Message>();
const byFullName = new Map<string, Message>();

/** proto/ lies beside src/ in a checkout, and beside dist/ in the package. */
function protoRoot(): protobuf.Root {
  if (loaded) return loaded;
  const above = import.meta.url.endsWith('.ts') ? '../..' : '../../..';
  const folder = fileURLToPath(new URL(`${above}/proto`, import.meta.url));
  library ??= load('protobufjs') as typeof protobuf;
  const root = new library.Root();
  root.resolvePath = (_, target) => join(folder, target);
  loaded = root.loadSync(TRACES);
  loaded.resolveAll();
  return loaded;
}

/** A message of OTLP as proto/ describes it, such as `opentelemetry.proto.trace.v1.Span`. */
export function otlpMessage(name: string): Message {
  const known = byFullName.get(name);
  if (known) return known;
  const message = describe(protoRoot().lookupType(name));
  byFullName.set(name, message);
  return message;
}

export const REQUEST = 'opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest';
export const RESOURCE_SPANS = 'opentelemetry.proto.trace.v1.ResourceSpans';
export const SCOPE_SPANS = 'opentelemetry.proto.trace.v1.ScopeSpans';
export const SPAN = 'opentelemetry.proto.trace.v1.Span';

function describe(type: protobuf.Type): Message {
  const known = messages.get(type);
  if (known) return known;
  const byNumber = new Map<number, Field>();
  const byName = new Map<string, Field>();
  const message: Message = { byNumber, byName };
  messages.set(type, message);
  for (const field of type.fieldsArray) {
    const { resolvedType } = field;
    const inner = resolvedType && 'fieldsArray' in resolvedType ? describe(resolvedType) : undefined;
    const scalar = resolvedType && !inner ? 'enum' : field.type;
    if (!inner && !isScalar(scalar)) throw new Error(`proto/: ${field.fullName} has the type ${field.type}`);
    const described: Field = {
      number: field.id,
      name: field.name,
      repeated: field.repeated,
      oneof: field.partOf !== null,
      wireType: inner ? WIRE.BYTES : SCALARS[scalar as ScalarType],
      type: inner ? 'message' : (scalar as ScalarType),
      message: inner,
    };
    byNumber.set(field.id, described);
    byName.set(field.name, described);
  }
  return message;
}

function isScalar(type: string): type is ScalarType {
  return Object.hasOwn(SCALARS, type);
}
