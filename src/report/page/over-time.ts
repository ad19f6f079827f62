import type { ReportModel } from '../model.ts';
import { plus } from './axes.ts';
import type { Charts } from './charts.ts';
import { type Html, html } from './html.ts';
import { fillOfResult, swatch } from './palette.ts';
import { folded, table } from './table.ts';
import { countOf, formatClock, formatCount, formatNs, formatRound } from './text.ts';

/** How many hops there were, what became of them, and how long the busiest listener's took. */
export function overTimeSection(
  model: ReportModel,
  buckets: NonNullable<ReportModel['buckets']>,
  charts: Charts,
): Html {
  const { results, counts, hopsOverTime, events } = model;
  const others = results.filter(({ name }) => name !== 'ok');
  const listener = model.listeners.find((each) => each.charts);
  const overTime = listener?.charts?.overTime ?? [];
  const known = overTime.filter((each) => each !== undefined);
  const scale = {
    min: Math.max(100, Math.min(...known.map(({ p50 }) => p50))),
    max: Math.max(1000, ...known.map(({ p99 }) => p99)),
  };
  const each = formatRound(buckets.widthNs);
  const from = (index: number): string => formatClock(plus(buckets.start, index * buckets.widthNs));
  return html`<section id="time" aria-labelledby="time-title"><h2 id="time-title">Over time</h2><div class="grid">
${
  others.length > 0 &&
  html`<figure><figcaption>Not ok <small>hops in each ${each}</small></figcaption>${charts.results(model, buckets)}<ul class="legend">${others.map(
    ({ name, count }, index) => html`<li>${swatch(fillOfResult(index))}${name} ${formatCount(count)}</li>`,
  )}</ul></figure>`
}
${
  listener &&
  html`<figure><figcaption>Duration through ${listener.name} <small>solid p50, dashed p99; logarithmic scale</small></figcaption>${charts.quantiles(
    `Duration of hops through ${listener.name} over time: p50 ${formatNs(listener.p50)}, p99 ${formatNs(listener.p99)} of all`,
    ...([overTime, buckets, scale, events] as const),
  )}</figure>`
}
<figure><figcaption>All hops <small>${countOf(counts.hops, 'hop')}, in each ${each}</small></figcaption>${charts.hops(model, buckets)}</figure></div>
${folded(
  'Table of results over time',
  table(
    `Hops by result, in each ${each}`,
    [
      { head: 'From (UTC)', cell: ({ index }) => from(index) },
      { head: 'Hops', number: true, cell: ({ count }) => formatCount(count) },
      ...results.map(({ name, overTime: ofResult }) => ({
        head: name,
        number: true,
        cell: ({ index }: { index: number }) => formatCount(ofResult[index] ?? 0),
      })),
      ...(listener
        ? [
            {
              head: `p50 / p99 of ${listener.name}`,
              number: true,
              cell: ({ index }: { index: number }) => {
                const quantiles = overTime[index];
                return quantiles ? `${formatNs(quantiles.p50)} / ${formatNs(quantiles.p99)}` : '';
              },
            },
          ]
        : []),
    ],
    hopsOverTime.map((count, index) => ({ count, index })),
  ),
)}</section>`;
}
