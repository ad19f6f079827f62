import {
  cleanName,
  createFieldCollector,
  type FieldCollector,
  type Fingerprinter,
  type HeaderField,
  NO_FIELDS,
  TARGET,
} from '../header-fields.ts';

/** The headers that are read; no other one is kept anywhere. Lower-case. */
export const HEADERS: ReadonlySet<string> = new Set([
  'host',
  'content-type',
  'grpc-status',
  'user-agent',
  'x-request-id',
  'traceparent',
  'tracestate',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'uber-trace-id',
]);

/** Of one header's value, in bytes; the rest is cut off. */
export const MAX_VALUE_BYTES = 1024;
export const MAX_PATH_BYTES = 2048;

/** What is kept of a message's head. Strings are empty where the head has none. */
export interface Head {
  readonly method: string;
  /** Without the query string, which may hold secrets. */
  readonly path: string;
  /** Without its question mark; empty unless asked for. */
  readonly query: string;
  /** `Host`, or the authority of an absolute or authority-form target. */
  readonly authority: string;
  /** "1.0" or "1.1" */
  readonly version: string;
  readonly headers: Readonly<Record<string, string>>;
  /** All of them, without their values; empty where they are not asked for. */
  readonly fields: readonly HeaderField[];
}

/** What is kept of heads beside the listed fields. */
export interface HeadOptions {
  /** Keeps the names of all fields. */
  readonly fingerprinter?: Fingerprinter | undefined;
  readonly queryStrings?: boolean;
}

const NOTHING: Head = {
  method: '',
  path: '',
  query: '',
  authority: '',
  version: '',
  headers: {},
  fields: NO_FIELDS,
};

/** Reads a head (RFC 9112, sections 3 to 5) as far as it goes: a cut one gives what its whole lines say. */
export function parseHead(bytes: Uint8Array, { fingerprinter, queryStrings }: HeadOptions = {}): Head {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const firstEnd = text.indexOf('\n');
  if (firstEnd < 0) return NOTHING;
  const headers = parseHeaders(text, firstEnd + 1);
  const first = text.slice(0, firstEnd).trimEnd();
  const collector = fingerprinter && createFieldCollector(fingerprinter);
  if (collector) collectFields(text, firstEnd + 1, collector, fingerprinter);
  const status = /^HTTP\/(\d\.\d) /.exec(first);
  if (status) return { ...NOTHING, version: status[1] ?? '', headers, fields: fieldsOf(collector) };
  const [, method = '', target = '', version = ''] = /^(\S+) (.*) HTTP\/(\d\.\d)$/.exec(first) ?? [];
  if (collector && target && method !== 'CONNECT') {
    collector.add(TARGET, fingerprinter.of(TARGET, latin1(withoutQuery(target).slice(0, MAX_PATH_BYTES))));
  }
  const fields = fieldsOf(collector);
  const query = queryStrings ? queryOf(target) : '';
  return {
    ...{ method, version, headers, fields, query },
    ...parseTarget(method, target, headers.host ?? ''),
  };
}

/** A request target without query string and fragment. */
export const withoutQuery = (target: string): string => target.replace(/[?#].*$/s, '');
/** Parameters that sign a request: their values are not kept (semantic conventions, `url.query`). */
const SECRET_PARAMETERS = /(^|&)(AWSAccessKeyId|Signature|sig|X-Goog-Signature)=[^&]*/gi;

/** The query string of a request target (RFC 3986, section 3.4), without what is known to be secret. */
export function queryOf(target: string): string {
  const query = /^[^?#]*\?([^#]*)/.exec(target)?.[1] ?? '';
  return query.slice(0, MAX_PATH_BYTES).replace(SECRET_PARAMETERS, '$1$2=REDACTED');
}

const latin1 = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const fieldsOf = (collector: FieldCollector | undefined): readonly HeaderField[] =>
  collector?.fields() ?? NO_FIELDS;

/** A line that begins with a space goes on with the value before (RFC 9112, section 5.2), and is left out. */
function collectFields(text: string, from: number, collector: FieldCollector, fingerprinter: Fingerprinter) {
  for (let at = from; at < text.length; ) {
    const end = text.indexOf('\n', at);
    if (end < 0) break;
    const colon = text.indexOf(':', at);
    if (colon > at && colon < end && !/[ \t]/.test(text.charAt(at))) {
      const name = cleanName(text.slice(at, colon));
      collector.add(name, fingerprinter.of(name.toLowerCase(), latin1(text.slice(colon + 1, end).trim())));
    }
    at = end + 1;
  }
}

/** The four forms of a request target, RFC 9112 section 3.2. */
function parseTarget(method: string, target: string, host: string): Pick<Head, 'path' | 'authority'> {
  if (method === 'CONNECT') return { path: '', authority: target.slice(0, MAX_VALUE_BYTES) };
  const absolute = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)([^?#]*)/i.exec(target);
  const authority = absolute ? (absolute[1] ?? '').replace(/^.*@/, '') : host;
  const path = absolute ? absolute[2] || '/' : withoutQuery(target);
  return { path: path.slice(0, MAX_PATH_BYTES), authority: authority.slice(0, MAX_VALUE_BYTES) };
}

function parseHeaders(text: string, from: number): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let at = from; at < text.length; ) {
    const end = text.indexOf('\n', at);
    if (end < 0) break;
    const colon = text.indexOf(':', at);
    if (colon > at && colon < end) {
      const name = text.slice(at, colon).toLowerCase();
      if (HEADERS.has(name)) {
        const value = text
          .slice(colon + 1, end)
          .trim()
          .slice(0, MAX_VALUE_BYTES);
        headers[name] =
          name === 'tracestate' && headers[name] ? `${headers[name]},${value}` : (headers[name] ?? value);
      }
    }
    at = end + 1;
  }
  return headers;
}
