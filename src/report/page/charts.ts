import type { ListenerModel, Quantiles, ReportModel } from '../model.ts';
import { countAxis, durationAxis, plus, type Range, type TimeParts, timeAxis } from './axes.ts';
import type { Html } from './html.ts';
import { fillOf, fillOfResult } from './palette.ts';
import { asImage } from './svg.ts';
import { countOf, formatClock, formatNs } from './text.ts';

const WIDTH = 370;
const HEIGHT = 190;
const MARGINS = { marginLeft: 52, marginRight: 14, marginTop: 22, marginBottom: 26 };
const NS_PER_S = 1e9;
/** Of host events, as lines through the charts over time. */
const MAX_RULES = 40;

type Plot = typeof import('@observablehq/plot');

/** Draws the page's charts as SVG: Observable Plot in a document of its own, without a browser. */
export interface Charts {
  /** Hops of each part of the range. */
  hops(model: ReportModel, buckets: TimeParts): Html;
  /** Results that are not ok, one above the other. */
  results(model: ReportModel, buckets: TimeParts): Html;
  /** p50 and p99 of each part of the range, on a logarithmic scale that charts beside each other share. */
  quantiles(
    label: string,
    overTime: readonly (Quantiles | undefined)[],
    buckets: TimeParts,
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
        y: durationAxis(scale),
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
          x: durationAxis({ min: first, max: last }),
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

interface Bar {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly title: string;
}

function barsOf(counts: readonly number[], { start, widthNs }: TimeParts, what = 'hop'): Bar[] {
  return counts.flatMap((count, index) => {
    if (count === 0) return [];
    const from = (index * widthNs) / NS_PER_S;
    const when = formatClock(plus(start, index * widthNs));
    const said = what === 'hop' ? countOf(count, 'hop') : `${count} ${what}`;
    return [{ from, to: from + widthNs / NS_PER_S, count, title: `${when}: ${said}` }];
  });
}

/** Events as lines, so that what changed with them is seen. */
function rulesOf(
  plot: Plot,
  events: ReportModel['events'],
  { start, widthNs, count }: TimeParts,
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
