import type { Quantiles, ReportModel } from '../model.ts';
import { type Html, html } from './html.ts';
import { quantileColumns } from './listeners.ts';
import { fillOf } from './palette.ts';
import { type Column, shareBar, table } from './table.ts';
import { formatCount, formatNs, formatTime } from './text.ts';

/** How requests were spread, over upstreams and over the proxy's threads. */
export function balanceSection({ upstreams, workers }: ReportModel): Html {
  return html`<section id="balance" aria-labelledby="balance-title"><h2 id="balance-title">Balance</h2>
${table(
  'Requests per upstream',
  [
    { head: 'Upstream', cell: ({ name }) => name },
    { head: 'From', cell: ({ service }) => service },
    { head: 'Requests', number: true, cell: ({ count }) => formatCount(count) },
    shareColumn(upstreams),
    { head: 'Failed', number: true, cell: ({ failed }) => formatCount(failed) },
    ...quantileColumns<(typeof upstreams)[number]>(),
  ],
  upstreams,
)}
${table(
  'Hops per worker (thread of the proxy)',
  [
    { head: 'Worker', cell: ({ name }) => name },
    { head: 'Of', cell: ({ service, pid }) => `${service} (pid ${pid})` },
    { head: 'Hops', number: true, cell: ({ count }) => formatCount(count) },
    shareColumn(workers),
    ...quantileColumns<(typeof workers)[number]>(),
    {
      head: 'read wait p50 / p99',
      number: true,
      cell: ({ readWait }) =>
        readWait.count > 0 ? `${formatNs(readWait.p50)} / ${formatNs(readWait.p99)}` : '',
    },
  ],
  workers,
)}</section>`;
}

/** Of all requests of the same proxy. */
function shareColumn<T extends Quantiles & { readonly service: string }>(rows: readonly T[]): Column<T> {
  const totals = new Map<string, number>();
  for (const { service, count } of rows) totals.set(service, (totals.get(service) ?? 0) + count);
  return {
    head: 'Share',
    cell: ({ service, count }) => shareBar(count, totals.get(service) ?? 0, fillOf('upstream')),
  };
}

export function eventsSection({ events, eventsLeftOut }: ReportModel): Html {
  return html`<section id="events" aria-labelledby="events-title"><h2 id="events-title">Events</h2>
<p class="dim">Events on the spans: what happened to the host or in an application meanwhile. They are lines in the charts over time.</p>
${table(
  'Events, the first first',
  [
    { head: 'Time (UTC)', cell: ({ time }) => formatTime(time, 6) },
    { head: 'Event', cell: ({ name }) => name },
    { head: 'What', cell: ({ about }) => about },
    { head: 'On spans of', cell: ({ service }) => service },
    { head: 'Spans', number: true, cell: ({ spans }) => formatCount(spans) },
  ],
  events,
)}${eventsLeftOut > 0 && html`<p class="dim">${formatCount(eventsLeftOut)} more are not shown.</p>`}</section>`;
}
