/** One line of Prometheus' text format (exposition format 0.0.4). */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What a page of metrics says, in its order; fails at lines that are none of the format. */
export function parseMetrics(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    if (line === '' || line.startsWith('#')) return [];
    const [, name, labels = '', value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (!name) throw new Error(`no sample: ${line}`);
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)",?/g)].map((match) => [match[1], match[2]]);
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value?.replace('Inf', 'Infinity')) }];
  });
}

/** Values of one name, those with the same labels of `by` added up, as `a,b → value`. */
export function sumBy(
  samples: readonly Sample[],
  name: string,
  by: readonly string[],
): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const sample of samples) {
    if (sample.name !== name) continue;
    const key = by.map((label) => sample.labels[label] ?? '').join(',');
    sums[key] = (sums[key] ?? 0) + sample.value;
  }
  return sums;
}
