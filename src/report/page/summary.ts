import { elapsedNs } from '../../spans/hop-span.ts';
import type { Count } from '../bounded.ts';
import type { ReportModel } from '../model.ts';
import { type Html, html } from './html.ts';
import { folded, table } from './table.ts';
import { countOf, formatCount, formatNs, formatShare } from './text.ts';

export function summarySection(model: ReportModel): Html {
  const { counts, all, range, results, pairings, proxies, statuses, closes, applications, input } = model;
  const tiles = [
    {
      name: 'Hops',
      value: formatCount(counts.hops),
      more: `of ${countOf(proxies.length, 'proxy process')}`.replace('proxy processs', 'proxy processes'),
    },
    { name: 'Failed', value: formatCount(counts.failed), more: formatShare(counts.failed, counts.hops) },
    { name: 'Median', value: formatNs(all.p50), more: `p99 ${formatNs(all.p99)}` },
    { name: 'Longest', value: formatNs(all.max), more: 'of all hops' },
    {
      name: 'Time range',
      value: range ? formatNs(elapsedNs(range.start, range.end)) : '–',
      more: 'first start to last end',
    },
    {
      name: 'Ambiguous',
      value: formatShare(counts.ambiguous, counts.hops),
      more: `${countOf(counts.ambiguous, 'hop')}, ${countOf(counts.ambiguousUpstreams, 'upstream half').replace('halfs', 'halves')}`,
    },
  ];
  return html`<dl class="tiles">${tiles.map(
    ({ name, value, more }) => html`<div><dt>${name}</dt><dd>${value}<small>${more}</small></dd></div>`,
  )}</dl>
${folded(
  'All counts: results, pairing, status codes, ends of connections, proxies, what was read',
  html`<div class="grid">
${table(
  'Results',
  [
    { head: 'Result', cell: ({ name }) => name },
    { head: 'Hops', number: true, cell: ({ count }) => formatCount(count) },
    { head: 'Share', number: true, cell: ({ count }) => formatShare(count, counts.hops) },
    { head: 'Failed', number: true, cell: ({ failed }) => formatCount(failed) },
  ],
  results,
)}
${countTable('Pairing', 'Paired by', pairings, counts.hops)}
${statuses.length > 0 && countTable('Status codes', 'Status', statuses, counts.hops)}
${closes.length > 0 && countTable('Who closed first, and how', 'Closed', closes, counts.hops)}
${table(
  'Proxies',
  [
    { head: 'Proxy', cell: ({ name }) => name },
    { head: 'Process', cell: ({ about }) => about.join(', ') },
    { head: 'Hops', number: true, cell: ({ hops }) => formatCount(hops) },
  ],
  proxies,
)}
${applications.length > 0 && countTable("Applications' own spans", 'Service', applications, counts.spans)}
${table(
  'What was read',
  [
    { head: 'What', cell: ({ name }) => name },
    {
      head: 'Count',
      number: true,
      cell: ({ count }) => (count === undefined ? 'not known' : formatCount(count)),
    },
  ],
  [
    { name: input.kind === 'recording' ? 'Kernel records' : 'Lines of spans', count: input.read },
    { name: 'Spans', count: counts.spans },
    { name: 'Requests to upstreams', count: counts.upstreams },
    { name: 'Spans of connections', count: counts.connections },
    { name: 'Lines left out', count: input.brokenLines },
    { name: 'Spans left out', count: input.brokenSpans },
    { name: 'Records lost by the recorder', count: input.dropped },
  ],
)}</div>`,
)}`;
}

function countTable(caption: string, head: string, rows: readonly Count[], of: number): Html {
  return table(
    caption,
    [
      { head, cell: ({ name }) => name },
      { head: 'Count', number: true, cell: ({ count }) => formatCount(count) },
      { head: 'Share', number: true, cell: ({ count }) => formatShare(count, of) },
    ],
    rows,
  );
}
