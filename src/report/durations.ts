import { Histogram } from '../exporter/console/histogram.ts';

/** So many values are kept as they are; more are counted in buckets. */
export const EXACT = 256;
/** What a bucket's middle may lie above the smallest value in it. */
const BUCKET_ERROR = 63 / 64;
/** Of a share times a count that should be whole. */
const ROUNDING = 1e-6;

/** Quantiles of durations in nanoseconds, in bounded memory: exact of up to `EXACT` values, right to 1 % of more. */
export class Durations {
  #values: number[] | undefined = [];
  #sorted = true;
  #histogram: Histogram | undefined;
  #count = 0;
  #max = 0;
  #sum = 0;

  add(ns: number): void {
    this.#count++;
    this.#sum += ns;
    if (ns > this.#max) this.#max = ns;
    if (this.#values) {
      this.#values.push(ns);
      this.#sorted = false;
      if (this.#values.length <= EXACT) return;
      this.#histogram = new Histogram();
      for (const value of this.#values) this.#histogram.add(value);
      this.#values = undefined;
    } else this.#histogram?.add(ns);
  }

  get count(): number {
    return this.#count;
  }

  get max(): number {
    return this.#max;
  }

  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  /** The smallest value that the share `q` (0 to 1) of all values does not exceed; 0 when there are none. */
  quantile(q: number): number {
    if (!this.#values) return Math.min(this.#histogram?.quantile(q) ?? 0, this.#max);
    if (!this.#sorted) this.#values.sort((a, b) => a - b);
    this.#sorted = true;
    return this.#values[Math.max(0, Math.ceil(q * this.#values.length) - 1)] ?? 0;
  }

  /** Where the largest values begin, the share 1 - `q` of all and at least one; so many reach it, however it was rounded. */
  floor(q: number): number {
    if (!this.#values) return Math.floor(this.quantile(q) * BUCKET_ERROR);
    const largest = Math.max(1, Math.ceil((1 - q) * this.#count - ROUNDING));
    return this.quantile((this.#count - largest + 1 - ROUNDING) / this.#count);
  }
}
