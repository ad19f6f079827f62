/** Streams of HTTP/1 messages that somebody broke. */
const REQUESTS = [
  'GET /a HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
  'PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nx: y\r\n\r\n',
  'HEAD /d HTTP/1.0\r\n\r\n',
  'CONNECT a:1 HTTP/1.1\r\n\r\n',
  'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
  '\r\n\r\n\0\r\nQUIT\n',
];
const ANSWERS = [
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\n\r\n\0\x01\x02',
  'HTTP/1.0 500 \r\n\r\nto the end',
];
const TREATS = [
  'Content-Length: 99999999999999999999\r\n',
  'Content-Length: -1\r\n',
  'Content-Length: 3\r\nContent-Length: 4\r\n',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
  'Transfer-Encoding: xchunked\r\n',
  'ffffffffffffffffffff\r\n',
  'HTTP/1.1',
  ' \t\r\n',
  '\n',
  '\0',
  'x'.repeat(3000),
  `a: ${'b'.repeat(9000)}\r\n`,
];

/** A stream of a few messages with a few mistakes, never empty. */
export function brokenStream(random: () => number, of: 'requests' | 'answers'): Buffer {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const source = of === 'requests' ? REQUESTS : ANSWERS;
  let text = Array.from({ length: 1 + Math.floor(random() * 5) }, () => pick(source)).join('');
  for (let n = Math.floor(random() * 4); n > 0; n--) {
    const at = Math.floor(random() * text.length);
    const end = at + Math.floor(random() * 12);
    switch (Math.floor(random() * 5)) {
      case 0:
        text = text.slice(0, at) + pick(TREATS) + text.slice(at);
        break;
      case 1:
        text = text.slice(0, at) + text.slice(end);
        break;
      case 2:
        text = text.slice(0, at) + String.fromCharCode(Math.floor(random() * 256)) + text.slice(at + 1);
        break;
      case 3:
        text = text.slice(0, end) + text.slice(at);
        break;
      default:
        text = text.slice(0, Math.max(1, at));
    }
  }
  return Buffer.from(text || 'G', 'latin1');
}
