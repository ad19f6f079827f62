import { type Html, html } from './html.ts';
import { formatShare } from './text.ts';

export interface Column<T> {
  readonly head: string;
  readonly cell: (row: T) => Html | string | number;
  /** Aligned to the right. */
  readonly number?: boolean;
}

/** A table that scrolls by itself where it is too wide, by keyboard, too. */
export function table<T>(caption: string, columns: readonly Column<T>[], rows: readonly T[]): Html {
  return html`<div class="scroll" tabindex="0" role="group" aria-label="${caption}">${narrowTable(caption, columns, rows)}</div>`;
}

/** A table whose first column names the row. */
export function narrowTable<T>(caption: string, columns: readonly Column<T>[], rows: readonly T[]): Html {
  return html`<table><caption>${caption}</caption><thead><tr>${columns.map(
    ({ head, number }) => html`<th scope="col"${number ? html` class="n"` : ''}>${head}</th>`,
  )}</tr></thead><tbody>${rows.map(
    (row) =>
      html`<tr>${columns.map(({ cell, number }, index) => {
        const attribute = number ? html` class="n"` : '';
        return index === 0
          ? html`<th scope="row"${attribute}>${cell(row)}</th>`
          : html`<td${attribute}>${cell(row)}</td>`;
      })}</tr>`,
  )}</tbody></table>`;
}

/** The numbers behind a chart. */
export function folded(summary: string, content: Html): Html {
  return html`<details><summary>${summary}</summary>${content}</details>`;
}

/** A bar from left to right to scale, with its number beside it. */
export function shareBar(part: number, of: number, fill: string): Html {
  const percent = of === 0 ? 0 : (100 * part) / of;
  return html`<svg class="share" width="100" height="12" aria-hidden="true" focusable="false"><rect width="${percent.toFixed(1)}%" height="12" fill="${fill}" stroke="var(--edge)" stroke-width="0.5"/></svg> ${formatShare(part, of)}`;
}
