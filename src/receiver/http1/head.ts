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
  /** `Host`, or the authority of an absolute or authority-form target. */
  readonly authority: string;
  /** "1.0" or "1.1" */
  readonly version: string;
  readonly headers: Readonly<Record<string, string>>;
}

const NOTHING: Head = { method: '', path: '', authority: '', version: '', headers: {} };

/** Reads a head (RFC 9112, sections 3 to 5) as far as it goes: a cut one gives what its whole lines say. */
export function parseHead(bytes: Uint8Array): Head {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const firstEnd = text.indexOf('\n');
  if (firstEnd < 0) return NOTHING;
  const headers = parseHeaders(text, firstEnd + 1);
  const first = text.slice(0, firstEnd).trimEnd();
  const status = /^HTTP\/(\d\.\d) /.exec(first);
  if (status) return { ...NOTHING, version: status[1] ?? '', headers };
  const [, method = '', target = '', version = ''] = /^(\S+) (.*) HTTP\/(\d\.\d)$/.exec(first) ?? [];
  return { ...NOTHING, method, version, headers, ...parseTarget(method, target, headers.host ?? '') };
}

/** The four forms of a request target, RFC 9112 section 3.2. */
function parseTarget(method: string, target: string, host: string): Pick<Head, 'path' | 'authority'> {
  if (method === 'CONNECT') return { path: '', authority: target.slice(0, MAX_VALUE_BYTES) };
  const absolute = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)([^?#]*)/i.exec(target);
  const authority = absolute ? (absolute[1] ?? '').replace(/^.*@/, '') : host;
  const path = absolute ? absolute[2] || '/' : target.replace(/[?#].*$/s, '');
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
