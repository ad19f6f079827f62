import type { ReportModel } from '../model.ts';
import { type Html, html } from './html.ts';
import { fillOf, swatch } from './palette.ts';

const PHASES = [
  ['accept wait', 'TCP handshake done, until the proxy accepted', 'all workers are busy'],
  ['read wait', 'request readable, until the proxy read it', "the proxy's event loop is busy"],
  ['forward', 'read, until written upstream', "the proxy's own work"],
  [
    'request transfer',
    'first to last request byte written upstream',
    'a large upload, an upstream that reads slowly',
  ],
  ['connect', 'SYN to the upstream, until established', "network, or the upstream's accept queue is full"],
  [
    'upstream wait',
    'request written, until the first answer byte is in the kernel',
    'the upstream; where that is a proxy too, see its hop',
  ],
  ['answer read wait', 'that byte in the kernel, until the proxy read it', "the proxy's event loop is busy"],
  ['answer forward', 'read, until the first byte was written to the client', "the proxy's own work"],
  [
    'answer transfer',
    'first to last answer byte written to the client',
    'a large answer, a client that reads slowly',
  ],
] as const;

export function glossarySection({ input }: ReportModel): Html {
  return html`<section id="words" aria-labelledby="words-title"><h2 id="words-title">What the words mean</h2>
<p>A <strong>hop</strong> is one request and its answer through one proxy, timed in the kernel. Downstream is the client's side of the proxy, upstream the server's.</p>
<div class="scroll" tabindex="0" role="group" aria-label="Phases"><table><caption>Phases, in the order in which a hop goes through them</caption><thead><tr><th scope="col">Phase</th><th scope="col">The time from … to …</th><th scope="col">When it is long</th></tr></thead><tbody>${PHASES.map(
    ([name, time, long]) =>
      html`<tr><th scope="row">${swatch(fillOf(name))}${name}</th><td>${time}</td><td>${long}</td></tr>`,
  )}</tbody></table></div>
<ul class="legend"><li>${swatch(fillOf('hop'))}hop</li><li>${swatch(fillOf('upstream'))}request to the upstream</li><li>${swatch(fillOf('application'))}an application's own span, or an event</li><li>${swatch(fillOf('rest'))}in no phase</li></ul>
<p>Failed is what the spans call an error: the outcome, or a status code that is one. Quantiles are exact of up to 256 hops, and right to 1 % of more; transfers overlap with other phases, so the sum of all can be more than the hop. ${
    input.kind === 'recording'
      ? 'Requests whose caller is not sampled are counted, too.'
      : 'What a sampler or a filter took out before the file was written is not counted.'
  }</p></section>`;
}
