import type { CohortModel, ListenerModel, Quantiles, ReportModel, RouteModel } from '../model.ts';
import { plus } from './axes.ts';
import type { Charts } from './charts.ts';
import { type Html, html } from './html.ts';
import { fillOf, swatch } from './palette.ts';
import { folded, table } from './table.ts';
import { formatClock, formatCount, formatNs, formatShare } from './text.ts';

/** Whose charts stand open. */
const OPEN = 2;
const MIN_SHARE = 0.005;

export function listenersSection(model: ReportModel, charts: Charts): Html {
  const charted = model.listeners.filter((listener) => listener.charts);
  return html`<section id="phases" aria-labelledby="phases-title"><h2 id="phases-title">Where the time goes</h2>
<p class="dim">By listener. The faster half of its hops against the slowest 1 %: mean time of each phase, as a share of all.</p>
${table(
  'Listeners',
  [
    { head: 'Proxy and port', cell: ({ name }) => name },
    { head: 'Hops', number: true, cell: ({ count }) => formatCount(count) },
    { head: 'Failed', number: true, cell: ({ failed }) => formatCount(failed) },
    ...quantileColumns<ListenerModel>(),
  ],
  model.listeners,
)}
${charted.map((listener, index) => html`<h3>${listener.name}</h3>${listenerCharts(listener, model, charts, index < OPEN)}`)}
${model.listeners.length > charted.length && html`<p class="dim">Charts of the ${charted.length} busiest listeners; the others stand in the table.</p>`}
</section>`;
}

export function quantileColumns<T extends Quantiles>(): readonly {
  head: string;
  number: true;
  cell: (row: T) => string;
}[] {
  return [
    { head: 'p50', number: true, cell: ({ p50 }) => formatNs(p50) },
    { head: 'p99', number: true, cell: ({ p99 }) => formatNs(p99) },
    { head: 'Longest', number: true, cell: ({ max }) => formatNs(max) },
  ];
}

function listenerCharts(listener: ListenerModel, model: ReportModel, charts: Charts, open: boolean): Html {
  const { charts: own, name } = listener;
  const { buckets } = model;
  if (!own || !buckets) return html``;
  const all = own.phases.flatMap(({ overTime }) => overTime).filter((each) => each !== undefined);
  const scale = {
    min: Math.max(100, Math.min(...all.map(({ p50 }) => p50))),
    max: Math.max(1000, ...all.map(({ p99 }) => p99)),
  };
  const slowest = new Map(own.slow.phases.map(({ phase, ns }) => [phase, ns]));
  const phases = own.phases.toSorted((a, b) => (slowest.get(b.phase) ?? 0) - (slowest.get(a.phase) ?? 0));
  return html`${cohorts(listener)}
<details${open && html` open`}><summary>Charts of ${name}: durations, and each phase over time</summary><div class="grid">
<figure><figcaption>Durations of hops <small>how many took so long; time on a logarithmic scale, number by its root</small></figcaption>${charts.histogram(listener)}${folded(
    'Table of durations',
    table(
      `Durations of ${name}`,
      [
        { head: 'From', cell: ({ fromNs }) => formatNs(fromNs) },
        { head: 'to', cell: ({ toNs }) => formatNs(toNs) },
        { head: 'Hops', number: true, cell: ({ count }) => formatCount(count) },
      ],
      own.histogram,
    ),
  )}</figure>
${phases.map(
  ({ phase, overTime, p50, p99 }) =>
    html`<figure><figcaption>${swatch(fillOf(phase))}${phase} <small>p50 ${formatNs(p50)}, p99 ${formatNs(p99)}; solid p50, dashed p99</small></figcaption>${charts.quantiles(
      `${phase} of ${name} over time: p50 ${formatNs(p50)}, p99 ${formatNs(p99)} of all`,
      ...([overTime, buckets, scale, model.events] as const),
    )}</figure>`,
)}</div>
${folded(
  'Table of phases over time, p50 / p99',
  table(
    `Phases of ${name} over time, p50 / p99`,
    [
      { head: 'From (UTC)', cell: ({ index }) => formatClock(plus(buckets.start, index * buckets.widthNs)) },
      { head: 'Hops', number: true, cell: ({ index }) => formatCount(own.overTime[index]?.count ?? 0) },
      { head: 'Hop', number: true, cell: ({ index }) => pair(own.overTime[index]) },
      ...own.phases.map(({ phase, overTime }) => ({
        head: phase,
        number: true,
        cell: ({ index }: { index: number }) => pair(overTime[index]),
      })),
    ],
    own.overTime.flatMap((each, index) => (each ? [{ index }] : [])),
  ),
)}</details>`;
}

const pair = (quantiles: Quantiles | undefined): string =>
  quantiles ? `${formatNs(quantiles.p50)} / ${formatNs(quantiles.p99)}` : '';

/** Two bars: where fast hops spend their time, and where the slowest do. */
function cohorts({ charts: own, name }: ListenerModel): Html {
  if (!own) return html``;
  const rows = [
    { what: 'faster half', cohort: own.typical },
    { what: 'slowest 1 %', cohort: own.slow },
  ];
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Phases of fast and slow hops of ${name}"><table class="cohorts"><caption class="dim">Mean time of each phase of ${name}</caption><thead><tr><th scope="col">Hops</th><th scope="col" class="n">Mean</th><th scope="col">Phases</th></tr></thead><tbody>${rows.map(
    ({ what, cohort }) =>
      html`<tr><th scope="row">${what} <span class="dim">(${formatCount(cohort.hops)})</span></th><td class="n">${formatNs(cohort.totalNs)}</td><td>${stack(cohort)}</td></tr>`,
  )}</tbody></table></div>`;
}

function stack(cohort: CohortModel): Html {
  const parts = [
    ...cohort.phases.map(({ phase, ns }) => ({ name: phase as string, ns, fill: fillOf(phase) })),
    { name: 'in no phase', ns: cohort.restNs, fill: fillOf('rest') },
  ].filter(({ ns }) => ns > 0);
  const total = parts.reduce((sum, { ns }) => sum + ns, 0);
  let from = 0;
  const drawn = parts.map((part) => {
    const at = { ...part, x: from, width: (100 * part.ns) / total };
    from += at.width;
    return at;
  });
  const said = parts.filter(({ ns }) => ns >= MIN_SHARE * total).sort((a, b) => b.ns - a.ns);
  return html`<svg class="bar stack" aria-hidden="true" focusable="false">${drawn.map(
    ({ x, width, fill }) =>
      html`<rect x="${x.toFixed(2)}%" width="${width.toFixed(2)}%" y="1" height="22" fill="${fill}" stroke="var(--edge)" stroke-width="0.7"/>`,
  )}</svg><ul class="legend">${said.map(
    ({ name, ns, fill }) =>
      html`<li>${swatch(fill)}${name} ${formatNs(ns)} <span class="dim">${formatShare(ns, total)}</span></li>`,
  )}</ul>`;
}

/** What was asked for, where requests are understood. */
export function routesSection({ routes }: ReportModel): Html {
  return html`<section id="routes" aria-labelledby="routes-title"><h2 id="routes-title">Routes</h2>
<p class="dim">Method and path of HTTP, method of gRPC, else the bytes of a listener. What looks like an id in a path is {id}.</p>
${table<RouteModel>(
  'Routes, the busiest first',
  [
    { head: 'Route', cell: ({ name }) => name },
    { head: 'Through', cell: ({ listener }) => listener },
    { head: 'Hops', number: true, cell: ({ count }) => formatCount(count) },
    { head: 'Failed', number: true, cell: ({ failed }) => formatCount(failed) },
    ...quantileColumns<RouteModel>(),
    {
      head: 'Most time in',
      cell: ({ longest }) => (longest ? `${longest.phase} (${formatShare(longest.share, 1)})` : ''),
    },
  ],
  routes,
)}</section>`;
}
