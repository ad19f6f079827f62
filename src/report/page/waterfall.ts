import type { Row, Waterfall } from '../waterfalls.ts';
import { type Html, html } from './html.ts';
import { type FillName, fillOf, swatch } from './palette.ts';
import { folded, narrowTable } from './table.ts';
import { formatNs, formatShare, formatTime } from './text.ts';

/** Of the width, so that the shortest is seen. */
const MIN_PERCENT = 0.4;

/** One trace to scale, as a table of its spans, with the roles that narrow screens, where it is no grid of a table, would take from it; the first of them all is open. */
export function waterfallSection(waterfall: Waterfall, index: number): Html {
  const { service, name, addresses, durationNs, result, failed, reasons, longest, rows, extentNs } =
    waterfall;
  const inPhase = longest
    ? `${formatShare(Math.min(longest.ns, durationNs), durationNs)} of it ${longest.phase}`
    : '';
  const title = `${service}  ${name}`;
  return html`<details class="fall"${index === 0 ? html` open` : ''}><summary><h3>${title}</h3><span class="dur">${formatNs(durationNs)}</span><span class="res ${failed ? 'bad' : ''}">${result}</span><span class="why">${[reasons.join('; '), inPhase].filter((text) => text !== '').join(' · ')}</span></summary>
<div class="inside" id="waterfall-${index + 1}"><p class="under dim">${[formatTime(waterfall.start, 6), 'UTC', addresses].join(' ')} · trace ${waterfall.traceId}</p>
<div class="scroll" tabindex="0" role="group" aria-label="Waterfall ${index + 1}: ${title}"><table class="rows" role="table"><caption class="dim">${formatNs(extentNs)} from left to right</caption><thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader" class="c-name">Span</th><th scope="col" role="columnheader" class="c-dur n">Start</th><th scope="col" role="columnheader" class="c-dur n">Time</th><th scope="col" role="columnheader">When</th><th scope="col" role="columnheader" class="c-result">Result</th></tr></thead><tbody role="rowgroup">${rows.map(
    (row) => rowOf(row, extentNs),
  )}</tbody></table></div>
${waterfall.leftOut > 0 && html`<p class="dim">${waterfall.leftOut} more spans of this trace overlap it and are not shown.</p>`}
${sayings(rows)}</div></details>`;
}

function rowOf(row: Row, extentNs: number): Html {
  const isEvent = row.role === 'event';
  const fill = fillName(row);
  const name = html`${row.service && html`<span class="service">${row.service}</span> `}${isEvent ? `event: ${row.name}` : row.name}`;
  const time = isEvent ? '' : formatNs(row.durationNs);
  return html`<tr role="row" data-role="${row.role}"><th scope="row" role="rowheader" class="d${row.depth}">${swatch(fillOf(fill))}${name}</th><td role="cell" class="n dim">+${formatNs(row.offsetNs)}</td><td role="cell" class="n">${time}</td><td role="cell">${bar(row, extentNs, fill)}</td><td role="cell"${row.failed && html` class="bad"`}>${row.result}</td></tr>`;
}

function bar({ role, offsetNs, durationNs }: Row, extentNs: number, fill: FillName): Html {
  const width = Math.max(MIN_PERCENT, (100 * durationNs) / extentNs);
  const x = Math.min((100 * offsetNs) / extentNs, 100 - width);
  const y = role === 'hop' || role === 'upstream' ? 1 : 3;
  return html`<svg class="bar" aria-hidden="true" focusable="false"><rect x="${x.toFixed(3)}%" y="${y}" width="${width.toFixed(3)}%" height="${16 - 2 * y}" fill="${fillOf(fill)}" stroke="var(--edge)" stroke-width="0.7"/></svg>`;
}

function fillName({ role, phase }: Row): FillName {
  if (phase) return phase;
  if (role === 'hop') return 'hop';
  return role === 'upstream' || role === 'connection' ? 'upstream' : 'application';
}

/** What the attributes say, in sentences and in full. */
function sayings(rows: readonly Row[]): Html {
  const telling = rows.filter(({ notes, error }) => notes.length > 0 || error !== '');
  const detailed = rows.filter(({ attributes }) => attributes.length > 0);
  const said = new Set<string>();
  const isNew = (error: string): boolean => !said.has(error) && said.add(error) !== undefined;
  let service = '';
  const named = new Map(
    rows.map((row) => {
      service = row.service || service;
      return [row, `${service} ${row.name}`];
    }),
  );
  return html`${
    telling.length > 0 &&
    html`<ul class="notes">${telling.map(
      (row) =>
        html`<li><strong>${named.get(row)}</strong>: ${row.error && isNew(row.error) && html`<span class="bad">${row.error}.</span> `}${row.notes.join(', ')}</li>`,
    )}</ul>`
  }${
    detailed.length > 0 &&
    folded(
      'All attributes',
      html`<div class="attributes">${detailed.map((row) =>
        narrowTable(
          `${named.get(row)}, +${formatNs(row.offsetNs)}`,
          [
            { head: 'Attribute', cell: ([key]) => key },
            { head: 'Value', cell: ([, value]) => value },
          ],
          row.attributes,
        ),
      )}</div>`,
    )
  }`;
}
