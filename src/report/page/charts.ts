import type { HrTime } from '../../spans/hop-span.ts';
import type { ListenerModel, Quantiles, ReportModel } from '../model.ts';
import { type Html, html, markup } from './html.ts';
import { fillOf, fillOfResult } from './palette.ts';
import { countOf, formatClock, formatNs, formatRound } from './text.ts';

const WIDTH = 370;
const HEIGHT = 190;
const MARGINS = { marginLeft: 52, marginRight: 14, marginTop: 22, marginBottom: 26 };
const MAX_TICKS = 4;
const NS_PER_S = 1e9;
/** Of host events, as lines through the charts over time. */
const MAX_RULES = 40;

type Plot = typeof import('@observablehq/plot');
type Buckets = NonNullable<ReportModel['buckets']>;
interface Range {
  readonly min: number;
  readonly max: number;
}

/** Draws the page's charts as SVG: Observable Plot in a document of its own, without a browser. */
export interface Charts {
  /** Hops of each part of the range. */
  hops(model: ReportModel, buckets: Buckets): Html;
  /** Results that are not ok, one above the other. */
  results(model: ReportModel, buckets: Buckets): Html;
  /** p50 and p99 of each part of the range, on a logarithmic scale that charts beside each other share. */
  quantiles(
    label: string,
    overTime: readonly (Quantiles | undefined)[],
    buckets: Buckets,
    scale: Range,
    events: ReportModel['events'],
  ): Html;
  histogram(listener: ListenerModel): Html;
}

/** Loaded when a report is written, and by nothing else. */
export async function createCharts(): Promise<Charts> {
  const [plot, { parseHTML }] = await Promise.all([import('@observablehq/plot'), import('linkedom')]);
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const draw = (label: string, options: Parameters<Plot['plot']>[0]): Html => {
    const svg = plot.plot({
      document,
      width: WIDTH,
      height: HEIGHT,
      ...MARGINS,
      className: 'plot',
      ...options,
    });
    return asImage(svg, label);
  };
  return {
    hops(model, buckets) {
      const bars = barsOf(model.hopsOverTime, buckets);
      return draw(`Hops over time: ${countOf(model.counts.hops, 'hop')}`, {
        x: timeAxis(buckets),
        y: countAxis(bars),
        marks: [
          grid(plot),
          ...rulesOf(plot, model.events, buckets),
          plot.rectY(bars, {
            x1: 'from',
            x2: 'to',
            y: 'count',
            fill: fillOf('hop'),
            insetLeft: 0.5,
            insetRight: 0.5,
            title: 'title',
          }),
          plot.ruleY([0], { stroke: 'currentColor' }),
        ],
      });
    },
    results(model, buckets) {
      const others = model.results.filter(({ name }) => name !== 'ok');
      const bars = others.flatMap(({ name, overTime }) =>
        barsOf(overTime, buckets, name).map((bar) => ({ ...bar, name })),
      );
      const totals = Array.from({ length: buckets.count }, (_, index) => ({
        count: others.reduce((sum, { overTime }) => sum + (overTime[index] ?? 0), 0),
      }));
      return draw(
        `Hops that did not end ok, over time: ${others.map(({ name, count }) => `${count} ${name}`).join(', ')}`,
        {
          x: timeAxis(buckets),
          y: countAxis(totals),
          color: {
            type: 'ordinal',
            domain: others.map(({ name }) => name),
            range: others.map((_, index) => fillOfResult(index)),
          },
          marks: [
            grid(plot),
            ...rulesOf(plot, model.events, buckets),
            plot.rectY(
              bars,
              plot.stackY({
                x1: 'from',
                x2: 'to',
                y: 'count',
                fill: 'name',
                stroke: 'var(--edge)',
                strokeWidth: 0.5,
                insetLeft: 0.5,
                insetRight: 0.5,
                title: 'title',
                order: others.map(({ name }) => name),
              }),
            ),
            plot.ruleY([0], { stroke: 'currentColor' }),
          ],
        },
      );
    },
    quantiles(label, overTime, buckets, scale, events) {
      const points = overTime.flatMap((each, index) => {
        const at = { x: ((index + 0.5) * buckets.widthNs) / NS_PER_S };
        if (!each) return [{ ...at, p50: Number.NaN, p99: Number.NaN, title: '' }];
        const when = formatClock(plus(buckets.start, index * buckets.widthNs));
        const title = `${when}: p50 ${formatNs(each.p50)}, p99 ${formatNs(each.p99)}, ${countOf(each.count, 'hop')}`;
        return [{ ...at, p50: Math.max(1, each.p50), p99: Math.max(1, each.p99), title }];
      });
      const known = points.filter(({ p99 }) => !Number.isNaN(p99));
      const line = { x: 'x', stroke: fillColor, strokeWidth: 2 };
      return draw(label, {
        x: timeAxis(buckets),
        y: {
          type: 'log',
          domain: [scale.min, scale.max],
          ticks: logTicks(scale),
          tickFormat: formatRound,
          label: null,
        },
        marks: [
          grid(plot),
          ...rulesOf(plot, events, buckets),
          plot.line(points, { ...line, y: 'p50' }),
          plot.line(points, { ...line, y: 'p99', strokeDasharray: '5 3' }),
          plot.dot(known, {
            x: 'x',
            y: 'p50',
            r: 1.8,
            fill: fillColor,
            title: 'title',
          }),
          plot.dot(known, {
            x: 'x',
            y: 'p99',
            r: 2.4,
            fill: 'var(--panel)',
            stroke: fillColor,
            strokeWidth: 1.3,
            title: 'title',
          }),
        ],
      });
    },
    histogram({ name, count, p50, p99, charts }) {
      const bars = (charts?.histogram ?? []).map((bar) => ({
        ...bar,
        title: `${formatNs(bar.fromNs)} to ${formatNs(bar.toNs)}: ${countOf(bar.count, 'hop')}`,
      }));
      const [first, last] = [bars[0]?.fromNs ?? 1, bars.at(-1)?.toNs ?? 10];
      const marks = [
        { ns: p50, text: `p50 ${formatNs(p50)}` },
        { ns: p99, text: `p99 ${formatNs(p99)}` },
      ].map((mark) => ({ ...mark, ns: Math.max(1, mark.ns) }));
      const crowded = Math.log(p99 / p50) < 0.35 * Math.log(last / first);
      return draw(
        `Durations of ${countOf(count, 'hop')} of ${name}: p50 ${formatNs(p50)}, p99 ${formatNs(p99)}`,
        {
          marginTop: 34,
          x: {
            type: 'log',
            domain: [first, last],
            ticks: logTicks({ min: first, max: last }),
            tickFormat: formatRound,
            label: null,
          },
          y: { ...countAxis(bars), type: 'sqrt' },
          marks: [
            grid(plot),
            plot.rectY(
              bars.filter((bar) => bar.count > 0),
              {
                x1: 'fromNs',
                x2: 'toNs',
                y: 'count',
                fill: fillOf('upstream'),
                insetLeft: 0.5,
                insetRight: 0.5,
                title: 'title',
              },
            ),
            plot.ruleY([0], { stroke: 'currentColor' }),
            plot.ruleX(marks, { x: 'ns', stroke: 'var(--bad)', strokeDasharray: '4 3', strokeWidth: 1.5 }),
            ...marks.map((mark, index) =>
              plot.text([mark], {
                x: 'ns',
                text: 'text',
                frameAnchor: 'top',
                dy: crowded && index === 0 ? -25 : -12,
                fill: 'currentColor',
                textAnchor: anchorOf(mark.ns, first, last),
              }),
            ),
          ],
        },
      );
    },
  };
}

const fillColor = 'var(--fill-hop)';

function anchorOf(ns: number, first: number, last: number): 'start' | 'middle' | 'end' {
  const place = Math.log(ns / first) / Math.log(last / first);
  return place < 0.15 ? 'start' : place > 0.85 ? 'end' : 'middle';
}

const grid = (plot: Plot): ReturnType<Plot['gridY']> =>
  plot.gridY({ stroke: 'var(--grid)', strokeOpacity: 1 });

type Svg = ReturnType<Plot['plot']>;
type SvgChild = Svg['childNodes'][number];

const TEXT_NODE = 3;
const ELEMENT_NODE = 1;

/** A picture with a text of its own. What is within has none, and no style that the policy would have to allow. */
function asImage(svg: Svg, label: string): Html {
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', label);
  return serialized(svg, true);
}

/** By our own templates, so that there is one place where text is escaped. */
function serialized(element: Svg, isRoot = false): Html {
  const attributes = [...element.attributes].flatMap(({ name, value }) => {
    if (name === 'style' || (name.startsWith('aria-') && !isRoot)) return [];
    return html` ${markup(name)}="${name === 'aria-label' ? value : rounded(value)}"`;
  });
  const mark = isRoot ? '' : (element.getAttribute('aria-label') ?? '');
  const children = [...element.childNodes].map((child: SvgChild) => {
    if (child.nodeType === TEXT_NODE) return html`${child.textContent ?? ''}`;
    return child.nodeType === ELEMENT_NODE && child.localName !== 'style' ? serialized(child) : html``;
  });
  const name = element.localName;
  if (!/^[a-z]+$/i.test(name)) throw new Error(`a chart has an element ${name}`);
  return html`<${markup(name)}${attributes}${mark !== '' && html` data-mark="${mark}"`}>${children}</${markup(name)}>`;
}

/** A tenth of a pixel is enough. */
const rounded = (value: string): string =>
  value.replace(/-?\d+\.\d{2,}/g, (number) => String(Math.round(Number(number) * 10) / 10));

interface Bar {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly title: string;
}

function barsOf(counts: readonly number[], { start, widthNs }: Buckets, what = 'hop'): Bar[] {
  return counts.flatMap((count, index) => {
    if (count === 0) return [];
    const from = (index * widthNs) / NS_PER_S;
    const when = formatClock(plus(start, index * widthNs));
    const said = what === 'hop' ? countOf(count, 'hop') : `${count} ${what}`;
    return [{ from, to: from + widthNs / NS_PER_S, count, title: `${when}: ${said}` }];
  });
}

export function plus([seconds, nanos]: HrTime, ns: number): HrTime {
  const total = nanos + ns;
  const carry = Math.floor(total / NS_PER_S);
  return [seconds + carry, Math.round(total - carry * NS_PER_S)];
}

/** Seconds since the first part began, told as the time of day; ticks where parts begin. */
function timeAxis({ start, widthNs, count }: Buckets): object {
  const every = Math.max(1, Math.ceil(count / MAX_TICKS));
  const ticks = Array.from(
    { length: Math.ceil(count / every) },
    (_, index) => (index * every * widthNs) / NS_PER_S,
  );
  const rangeNs = count * widthNs;
  const digits = rangeNs < 5 * NS_PER_S ? (rangeNs < NS_PER_S / 20 ? 4 : 3) : 0;
  const tickFormat = (seconds: number): string => {
    const clock = formatClock(plus(start, seconds * NS_PER_S), digits);
    return digits > 0 ? clock.slice(3) : clock;
  };
  return { type: 'linear', domain: [0, rangeNs / NS_PER_S], ticks, tickFormat, label: null };
}

/** From zero, with whole numbers on it. */
function countAxis(bars: readonly { readonly count: number }[]): object {
  const max = bars.reduce((most, { count }) => Math.max(most, count), 1);
  return {
    domain: [0, max],
    ticks: Math.min(4, max),
    tickFormat: (value: number) => (Number.isInteger(value) ? String(value) : ''),
    label: null,
  };
}

/** Events as lines, so that what changed with them is seen. */
function rulesOf(
  plot: Plot,
  events: ReportModel['events'],
  { start, widthNs, count }: Buckets,
): ReturnType<Plot['ruleX']>[] {
  const rangeS = (count * widthNs) / NS_PER_S;
  const marks = events
    .map(({ time, name }) => ({
      x: time[0] - start[0] + (time[1] - start[1]) / NS_PER_S,
      title: `${formatClock(time)}: ${name}`,
    }))
    .filter(({ x }) => x >= 0 && x <= rangeS)
    .slice(0, MAX_RULES);
  return marks.length === 0
    ? []
    : [
        plot.ruleX(marks, {
          x: 'x',
          stroke: 'var(--fill-application)',
          strokeWidth: 1.5,
          title: 'title',
        }),
      ];
}

/** Powers of ten within a range; with 2 and 5 between where these are few. */
function logTicks({ min, max }: Range): number[] {
  const decades = Math.log10(max / min);
  const steps = decades > 3 ? [1] : decades > 1.5 ? [1, 3] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(min)); power <= max; power *= 10)
    for (const step of steps)
      if (step * power >= min * 0.999 && step * power <= max * 1.001) ticks.push(step * power);
  return decades > 6 ? ticks.filter((_, index) => index % 2 === 0) : ticks;
}
