/** What the bench says, and what it holds the figures against. */

export interface Aim {
  readonly what: string;
  readonly limit: number;
  readonly unit: string;
}

export function say(text = ''): void {
  process.stdout.write(`${text}\n`);
}

/** A figure beside its aim. A number never fails the bench: it depends on the machine. */
export function sayAim({ what, limit, unit }: Aim, figure: number): void {
  const verdict = figure <= limit ? 'met' : 'missed';
  say(`  aim: ${what} ≤ ${limit} ${unit}; here ${round(figure)} ${unit}: ${verdict}`);
}

/** Lines of columns, the first one to the left. */
export function sayTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      column ? cell.padStart((widths[column] ?? 0) + 2) : cell.padEnd(widths[0] ?? 0),
    );
    say(`  ${cells.join('')}`);
  }
}

/** Three significant digits, but whole numbers from 100 on. */
export function round(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3).replace(/\.?0+$/, '');
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 ? high : ((sorted[middle - 1] ?? high) + high) / 2;
}
