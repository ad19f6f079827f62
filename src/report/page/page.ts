import { createHash } from 'node:crypto';
import { VERSION } from '../../version.ts';
import { SLOWEST, SLOWEST_OK } from '../choice.ts';
import { findingsOf } from '../findings.ts';
import type { ReportModel } from '../model.ts';
import { balanceSection, eventsSection } from './balance.ts';
import type { Charts } from './charts.ts';
import { glossarySection } from './glossary.ts';
import { type Html, html, markup } from './html.ts';
import { listenersSection, routesSection } from './listeners.ts';
import { overTimeSection } from './over-time.ts';
import { patterns } from './palette.ts';
import { STYLE } from './style.ts';
import { summarySection } from './summary.ts';
import { formatTime } from './text.ts';
import { waterfallSection } from './waterfall.ts';

/** The page runs no script, asks for nothing, and has one style sheet. */
const POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'`;

/** The whole page. Pure: the same model gives the same text. */
export function pageOf(model: ReportModel, charts: Charts): string {
  const { range, waterfalls, buckets, events } = model;
  const when = range ? `${formatTime(range.start)} to ${formatTime(range.end)} UTC` : 'no hops';
  const sections = [
    { id: 'time', name: 'Over time', content: buckets && overTimeSection(model, buckets, charts) },
    { id: 'waterfalls', name: 'Waterfalls', content: waterfalls.length > 0 && waterfallsSection(model) },
    { id: 'phases', name: 'Where the time goes', content: range && listenersSection(model, charts) },
    { id: 'routes', name: 'Routes', content: range && routesSection(model) },
    { id: 'balance', name: 'Balance', content: range && balanceSection(model) },
    { id: 'events', name: 'Events', content: events.length > 0 && eventsSection(model) },
    { id: 'words', name: 'What the words mean', content: glossarySection(model) },
  ].filter(({ content }) => content);
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${markup(POLICY)}"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer"><title>hopspan report: ${model.source}</title><style>${markup(STYLE)}</style></head>
<body>${patterns()}<a class="skip" href="#findings">To what stands out</a>
<header><h1>Proxy hops of ${model.source}</h1><p class="dim">${when}</p>
<nav aria-label="Parts of this page"><ul>${sections.map(({ id, name }) => html`<li><a href="#${id}">${name}</a></li>`)}</ul></nav></header>
<main>
<section id="findings" aria-labelledby="findings-title"><h2 id="findings-title">What stands out</h2>
<ul class="findings">${findingsOf(model).map(
    ({ weight, title, text }) => html`<li class="is-${weight}"><strong>${title}.</strong> ${text}</li>`,
  )}</ul>
${summarySection(model)}</section>
${sections.map(({ content }) => content)}
</main>
<footer><p>Written by hopspan ${VERSION}. The page holds all its data, runs no script and loads nothing. Times are UTC.</p></footer></body></html>
`.text;
}

function waterfallsSection({ waterfalls }: ReportModel): Html {
  return html`<section id="waterfalls" aria-labelledby="waterfalls-title"><h2 id="waterfalls-title">Waterfalls</h2>
<p class="dim">Chosen: the ${SLOWEST} slowest of all, and ${SLOWEST_OK} more of those that ended ok; of each result that is not ok the first and the longest; of the busiest listeners the hop nearest to the median, from an even sample. One for each trace; a chain of proxies is one trace. Bars are to scale.</p>
${waterfalls.map(waterfallSection)}</section>`;
}
