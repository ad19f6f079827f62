import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { toOtlpJson } from '../../../src/exporter/otlp-json.ts';
import { collect } from '../../../src/report/collect.ts';
import { openInput } from '../../../src/report/input/source.ts';
import type { ReportModel } from '../../../src/report/model.ts';
import type { HopSpan } from '../../../src/spans/hop-span.ts';
import { fixtureNames, fixturePaths } from '../../harness/fixtures.ts';
import { at, makeExchange, makeResource } from '../../harness/make-spans.ts';
import { asFileSpan, readAll, spansOf } from '../../harness/recordings.ts';
import { quantile, reportTruth } from '../../harness/report-truth.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const folder = temporaryFolder(after);
const OPTIONS = { phaseFloorNs: 0, resourceAttributes: {} };
let files = 0;

/** Lines of spans, so many in each. */
function fileOf(spans: readonly HopSpan[], each = 50): string {
  const path = join(folder, `${files++}.jsonl`);
  const lines: string[] = [];
  for (let from = 0; from < spans.length; from += each)
    lines.push(`${toOtlpJson(spans.slice(from, from + each))}\n`);
  writeFileSync(path, lines.join(''));
  return path;
}

const modelOf = async (path: string): Promise<ReportModel> => collect(await openInput(path, OPTIONS), 'test');
const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

function assertTrue(model: ReportModel, spans: readonly HopSpan[]): void {
  const truth = reportTruth(spans.map(asFileSpan));
  assert.deepEqual([model.counts.hops, model.counts.failed], [truth.hops, truth.failed]);
  assert.equal(model.counts.spans, spans.length);
  assert.deepEqual(new Map(model.results.map(({ name, count }) => [name, count])), truth.byOutcome);
  for (const { overTime, count } of model.results) assert.equal(sum(overTime), count);
  assert.equal(sum(model.hopsOverTime), truth.hops);
  const last = truth.durations.at(-1);
  assert.deepEqual([model.all.p50, model.all.max], [quantile(truth.durations, 0.5), last]);
  assert.equal(model.listeners.length, truth.byListener.size);
  for (const listener of model.listeners) {
    const durations = truth.byListener.get(listener.name) ?? [];
    assert.equal(listener.count, durations.length);
    assert.equal(listener.p99, quantile(durations, 0.99));
    assert.equal(sum((listener.charts?.histogram ?? []).map(({ count }) => count)), durations.length);
    for (const { fromNs, toNs, count } of listener.charts?.histogram ?? [])
      assert.equal(count, durations.filter((ns) => ns >= fromNs * 0.999999 && ns < toNs * 0.999999).length);
    for (const { phase, count, p99, overTime } of listener.charts?.phases ?? []) {
      const phases = truth.byPhase(listener.name, phase);
      assert.deepEqual([phase, count, p99], [phase, phases.length, quantile(phases, 0.99)]);
      assert.equal(sum(overTime.map((each) => each?.count ?? 0)), phases.length);
    }
  }
  assert.deepEqual(new Map(model.upstreams.map(({ name, count }) => [name, count])), truth.byUpstream);
  const workers = model.workers.map(
    ({ service, pid, name, count }) => [`${service} ${pid} ${name}`, count] as const,
  );
  assert.deepEqual(new Map(workers), truth.byWorker);
}

describe('a report of each recording', () => {
  for (const name of fixtureNames()) {
    test(`${name}: every number is that of its spans`, async () => {
      const path = fixturePaths(name).recording;
      const spans = await spansOf((await readAll(path)).records);
      assertTrue(await modelOf(path), spans);
    });
  }

  test('says of its spans in OTLP/JSON the same as of itself', async () => {
    const path = fixturePaths('envoy-chain').recording;
    const ofRecording = await modelOf(path);
    const ofSpans = await modelOf(fileOf(await spansOf((await readAll(path)).records)));
    assert.deepEqual({ ...ofSpans, input: undefined }, { ...ofRecording, input: undefined });
  });
});

describe('waterfalls', () => {
  test('a chain is one, with every span of both proxies', async () => {
    const path = fixturePaths('envoy-chain').recording;
    const spans = await spansOf((await readAll(path)).records);
    const { waterfalls } = await modelOf(path);
    assert.ok(waterfalls.length > 0);
    for (const { traceId, rows, extentNs } of waterfalls) {
      const own = spans.filter((span) => span.traceId === traceId);
      assert.equal(rows.length, own.length);
      assert.deepEqual(
        new Set(rows.map(({ service }) => service).filter(Boolean)),
        new Set(['outer', 'inner']),
      );
      for (const { offsetNs, durationNs } of rows)
        assert.ok(offsetNs >= 0 && offsetNs + durationNs <= extentNs);
    }
  });

  test('what does not overlap the hop is another request of its trace, and is left out', async () => {
    const early = makeExchange({ traceNumber: 1 });
    const late = makeExchange({ traceNumber: 1, firstSpanNumber: 100, startUs: 60_000_000 });
    const [hop] = late;
    assert.ok(hop);
    const slow = late.map((span) => (span === hop ? { ...span, end: at(60_100_000) } : span));
    const { waterfalls } = await modelOf(fileOf([...early, ...slow]));
    assert.deepEqual(
      waterfalls.map(({ rows }) => rows.length),
      [8],
    );
    assert.equal(waterfalls[0]?.durationNs, 100_000_000);
  });

  test('a trace of thousands is cut to what is near the hop, and says so', async () => {
    const spans = makeExchange();
    const [hop] = spans;
    assert.ok(hop);
    for (let n = 1; n < 1500; n++)
      spans.push({
        ...hop,
        spanId: (10_000 + n).toString(16).padStart(16, '0'),
        parentSpanId: hop.spanId,
        kind: 'INTERNAL',
        name: 'query',
        attributes: {},
      });
    const { waterfalls } = await modelOf(fileOf(spans, 2000));
    const [only] = waterfalls;
    assert.ok(only && only.rows.length <= 80 && only.rows[0]?.role === 'hop');
    assert.equal(only.rows.length + only.leftOut, spans.length);
  });

  test('spans that are each other’s parents are drawn once', async () => {
    const [hop, phase] = makeExchange();
    assert.ok(hop && phase);
    const circle = [{ ...hop, parentSpanId: phase.spanId }, phase];
    const { waterfalls } = await modelOf(fileOf(circle));
    assert.equal(waterfalls[0]?.rows.length, 2);
  });
});

describe('spans of others, events', () => {
  test("applications' spans are counted apart and drawn where they belong", async () => {
    const hops = makeExchange();
    const upstream = hops.find(({ kind }) => kind === 'CLIENT');
    const [hop] = hops;
    assert.ok(hop && upstream);
    const { 'telemetry.distro.name': _, ...resource } = makeResource('shop').attributes;
    const own: HopSpan = {
      ...{
        ...hop,
        spanId: 'ee'.repeat(8),
        parentSpanId: upstream.spanId,
        name: 'GET /orders/{id}',
        attributes: {},
      },
      ...{ start: at(400), end: at(12_000), resource: { attributes: resource } },
    };
    const model = await modelOf(fileOf([...hops, own]));
    assert.deepEqual([model.counts.hops, model.applications], [1, [{ name: 'shop', count: 1 }]]);
    const row = model.waterfalls[0]?.rows.find(({ service }) => service === 'shop');
    assert.deepEqual([row?.role, row?.depth], ['application', 2]);
  });

  test('an event that stands on many spans is told once', async () => {
    const event = { name: 'interface down', time: at(50), attributes: { 'network.interface.name': 'eth0' } };
    const spans = Array.from({ length: 5 }, (_, n) => makeExchange({ traceNumber: n })).flatMap(
      ([hop, ...rest]) => (hop ? [{ ...hop, events: [event] }, ...rest] : []),
    );
    const { events, counts, waterfalls } = await modelOf(fileOf(spans));
    assert.deepEqual(
      events.map(({ name, spans: on, about }) => [name, on, about]),
      [['interface down', 5, 'network.interface.name=eth0']],
    );
    assert.equal(counts.events, 5);
    assert.ok(
      waterfalls.every(({ rows }) =>
        rows.some(({ role, offsetNs }) => role === 'event' && offsetNs === 50_000),
      ),
    );
  });
});
