import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type FileSpan, hopsOf } from '../harness/hopspan.ts';
import { type HttpArrival, startHttpBackend } from '../harness/http-backend.ts';
import { type HttpSent, runHttpClient } from '../harness/http-client.ts';
import { type OtlpSpan, startOtlpSink } from '../harness/otlp-sink.ts';
import { type Child, startChild, stopLeftovers } from '../harness/process.ts';
import { startEnvoy } from '../harness/proxies.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';

after(stopLeftovers);

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const READY_MS = 60_000;
const ROUNDS = 100;
/** In each round, on connections of their own, and on each of those that last from the first round to the last one. */
const LOAD = { connections: 8, concurrency: 8, requests: 8, traceparent: true };
const LASTING = 4;
const LASTING_REQUESTS = 3;

/** Thresholds of the two percentages, as the last 14 digits of a trace id are held against them (W3C, OTEP 235). */
const ABOVE_50 = '80000000000000';
const ABOVE_25 = 'c0000000000000';

interface Places {
  readonly ports: readonly [always: number, sometimes: number];
  readonly main: readonly [string, string];
  readonly sampled: string;
  readonly queue: string;
}

const isBad = (round: number): boolean => round % 10 === 7;

/** A file for each round: other endpoints, queues, processors, percentages and targets; or none that can be used. */
function fileOf(round: number, { ports, main, sampled, queue }: Places): string {
  const disk = Math.floor(round / 2) % 3 === 0 ? '' : `, sending_queue: { directory: ${queue} }`;
  const mark = `attributes/round-${round}`;
  const names = [mark, ...(round % 3 === 0 ? ['tail_sampling'] : []), ...(round % 4 === 0 ? ['batch'] : [])];
  const exporter = isBad(round) ? `consle/round-${round}` : 'otlp';
  return `
receivers:
  ebpf:
    phase_floor: 1h
    targets:
      - listen_port: ${ports[0]}
${round % 4 === 1 || round % 4 === 2 ? `      - { listen_port: ${ports[1]}, service_name: sometimes }` : ''}
processors:
  ${mark}: { actions: [{ action: insert, key: round, value: ${round} }] }
  tail_sampling: { decision_wait: ${100 + round}ms, policies: [{ name: all, type: always_sample }] }
  batch: { timeout: 200ms }
  probabilistic_sampler: { sampling_percentage: ${Math.floor(round / 3) % 2 === 0 ? 50 : 25} }
exporters:
  ${exporter}: { endpoint: "${main[round % 2 === 0 ? 0 : 1]}"${disk} }
  otlp/sampled: { endpoint: "${sampled}" }
service:
  telemetry: { logs: { sampling: { enabled: false } }, metrics: { readers: [{ pull: { exporter: { prometheus: { port: 0 } } } }] } }
  extensions: [health_check]
  pipelines:
    traces: { receivers: [ebpf], processors: [${names.join(', ')}], exporters: [otlp] }
    traces/sampled: { receivers: [ebpf], processors: [probabilistic_sampler], exporters: [otlp/sampled] }
extensions: { health_check: { endpoint: "127.0.0.1:0" } }
`;
}

/** A file behind links, as in a pod, and the ways in which one is changed. */
function configFile(folder: string, first: string) {
  const [path, data] = [join(folder, 'hopspan.yaml'), join(folder, '..data')];
  let version = 0;
  const real = (): string => join(folder, `v${version}`, 'hopspan.yaml');
  const swap = (text: string): void => {
    const before = version++;
    mkdirSync(join(folder, `v${version}`));
    writeFileSync(real(), text);
    symlinkSync(`v${version}`, `${data}.new`);
    renameSync(`${data}.new`, data);
    rmSync(join(folder, `v${before}`), { recursive: true, force: true });
  };
  swap(first);
  symlinkSync('..data/hopspan.yaml', path);
  const rename = (text: string): void => {
    writeFileSync(join(folder, 'new'), text);
    renameSync(join(folder, 'new'), real());
  };
  const inPlace = (text: string): void => writeFileSync(real(), text);
  return { path, ways: [inPlace, rename, swap] };
}

/** Requests one after the other, all on one connection. */
function lastingClient(port: number, lane: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let number = 0;
  const send = (): Promise<HttpSent> =>
    new Promise((resolve, reject) => {
      const id = 1_000_000 * (lane + 1) + number++;
      const traceId = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
        byte.toString(16).padStart(2, '0'),
      ).join('');
      const traceparent = `00-${traceId}-${traceId.slice(0, 15)}1-01`;
      const sentNs = process.hrtime.bigint();
      request({ agent, port, path: `/${id}/x`, headers: { traceparent } }, (response) => {
        const localPort = response.socket.localPort ?? 0;
        response.resume().on('end', () => {
          const answeredNs = process.hrtime.bigint();
          const statusCode = response.statusCode ?? 0;
          resolve({
            ...{ id, method: 'GET', localPort, number, sentNs, answeredNs },
            ...{ statusCode, bodyBytes: 0, traceparent },
          });
        });
      })
        .on('error', reject)
        .end();
    });
  return {
    async run(requests: number): Promise<HttpSent[]> {
      const sent: HttpSent[] = [];
      for (let n = 0; n < requests; n++) sent.push(await send());
      return sent;
    },
    end: () => agent.destroy(),
  };
}

async function started(path: string): Promise<{ child: Child; page(path: string): Promise<string> }> {
  const child = await startChild(process.execPath, [MAIN, 'run', '--config', path]);
  await child.line(/ready/, READY_MS);
  const pages = await child.line(/answering/, READY_MS);
  return {
    child,
    async page(name) {
      const url = pages.match(/http:[^,\s]+/g)?.find((each) => each.endsWith(name));
      const response = await fetch(url ?? '');
      return `${response.status} ${await response.text()}`;
    },
  };
}

const traceOf = ({ traceparent }: HttpSent): string => traceparent.slice(3, 35);
const asFileSpans = (spans: readonly OtlpSpan[]): FileSpan[] => spans as unknown as FileSpan[];

/** How often each trace has a hop. */
function countByTrace(spans: readonly OtlpSpan[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { hop } of hopsOf(asFileSpans(spans)).hops)
    counts.set(hop.traceId, (counts.get(hop.traceId) ?? 0) + 1);
  return counts;
}

interface Place {
  readonly port: number;
  readonly number: number;
}

/** Holds each hop's upstream side against where the backend saw the request of that trace. */
function judge(
  spans: readonly OtlpSpan[],
  sent: readonly HttpSent[],
  arrivals: readonly HttpArrival[],
  nameOf: (place: Place) => string,
): { right: number; wrong: string[]; unpaired: number } {
  const ids = new Map(sent.map((each) => [traceOf(each), each.id]));
  const arrived = Map.groupBy(arrivals, ({ id }) => id);
  const verdict = { right: 0, wrong: [] as string[], unpaired: 0 };
  for (const { hop, upstreams } of hopsOf(asFileSpans(spans)).hops) {
    const places = arrived.get(ids.get(hop.traceId) ?? -1) ?? [];
    const truth = places.map(({ remotePort: port, number }) => nameOf({ port, number }));
    const told = upstreams.map(({ attributes }) =>
      nameOf({
        port: Number(attributes['network.local.port']),
        number: Number(attributes['hopspan.exchange.number']),
      }),
    );
    if (told.length === 0) verdict.unpaired++;
    else if (told.every((place) => truth.includes(place))) verdict.right++;
    else verdict.wrong.push(`${told} instead of ${truth}`);
  }
  return verdict;
}

describe('reloading under load', () => {
  test(`${ROUNDS} times: every exchange arrives once, and rightly paired`, async (t) => {
    const backend = await startHttpBackend();
    const proxies = await Promise.all(
      [0, 1].map(() => startEnvoy({ listeners: [{ upstreamPort: backend.port }], concurrency: 2, http: {} })),
    );
    const [always = 0, sometimes = 0] = proxies.map(({ port }) => port);
    const sinks = await Promise.all([startOtlpSink(), startOtlpSink(), startOtlpSink()]);
    const [one, two, sampled] = sinks;
    const folder = temporaryFolder(t.after.bind(t));
    const places: Places = {
      ports: [always, sometimes],
      main: [one.endpoint, two.endpoint],
      sampled: sampled.endpoint,
      queue: join(folder, 'queue'),
    };
    const file = configFile(folder, fileOf(0, places));
    const hopspan = await started(file.path);
    const lasting = Array.from({ length: LASTING }, (_, lane) => lastingClient(always, lane));
    const sent: HttpSent[] = [];
    const atSometimes: HttpSent[] = [];
    const perRound = LOAD.connections * LOAD.requests;

    for (let round = 1; round <= ROUNDS; round++) {
      const firstId = 2 * round * perRound;
      const change = async (): Promise<void> => {
        file.ways[round % 3]?.(fileOf(round, places));
        if (round % 2 === 1) hopspan.child.kill('SIGHUP');
        await hopspan.child.line(
          isBad(round)
            ? new RegExp(`"consle/round-${round}"`)
            : new RegExp(`attributes/round-${round} added`),
        );
      };
      const [first, other, ...rest] = await Promise.all([
        runHttpClient({ ...LOAD, port: always, firstId, seed: round }),
        runHttpClient({ ...LOAD, port: sometimes, firstId: firstId + perRound, seed: ROUNDS + round }),
        ...lasting.map((client) => client.run(LASTING_REQUESTS)),
        change(),
      ]);
      sent.push(...first, ...rest.flatMap((each) => each ?? []));
      atSometimes.push(...other);
      if (isBad(round)) assert.match(await hopspan.page('/readyz'), /^200 /);
    }
    const metrics = await hopspan.page('/metrics');
    for (const client of lasting) client.end();
    for (const proxy of proxies) await proxy.stop();
    const exit = await hopspan.child.stop('SIGTERM', 20_000);
    const log = hopspan.child.stderr();
    await backend.stop();
    for (const sink of sinks) await sink.stop();

    assert.equal(exit.code, 0, log);
    const [reloads = 0, failures = 0] = ['success', 'failure'].map((result) =>
      Number(
        new RegExp(`hopspan_config_reloads_total\\{.*result="${result}".*\\} (\\d+)`).exec(metrics)?.[1],
      ),
    );
    t.diagnostic(`${reloads} reloads, ${failures} refused; ${sent.length} requests`);
    assert.ok(
      reloads + failures >= ROUNDS && failures >= Math.floor(ROUNDS / 10),
      metrics.match(/^hopspan_config.*$/gm)?.join('\n'),
    );
    const main = [...one.received(), ...two.received()];
    const ofAlways = main.filter(({ service }) => service !== 'sometimes');
    const counts = countByTrace(ofAlways);
    const wrongly = sent.filter((each) => counts.get(traceOf(each)) !== 1);
    assert.deepEqual(
      wrongly.map((each) => `${each.id}: ${counts.get(traceOf(each)) ?? 0}`),
      [],
      log,
    );
    const { hops, loose } = hopsOf(asFileSpans(ofAlways));
    assert.equal(hops.length, sent.length);
    assert.deepEqual(
      loose.filter(({ attributes }) => attributes['http.request.method']),
      [],
    );
    const all = judge(ofAlways, sent, backend.arrivals, ({ port, number }) => `${port}#${number}`);
    assert.deepEqual(all, { right: sent.length, wrong: [], unpaired: 0 });
    const rounds = new Set(ofAlways.map(({ attributes }) => attributes.round));
    t.diagnostic(`spans of ${rounds.size} configurations`);
    assert.ok(one.received().length > 0 && two.received().length > 0 && rounds.size > ROUNDS / 10);

    const bySampled = countByTrace(sampled.received().filter(({ service }) => service !== 'sometimes'));
    const badly = sent.filter((each) => {
      const [count, randomness] = [bySampled.get(traceOf(each)) ?? 0, traceOf(each).slice(18)];
      if (randomness >= ABOVE_25) return count !== 1;
      return randomness >= ABOVE_50 ? count > 1 : count > 0;
    });
    assert.deepEqual(badly.map(traceOf), []);

    const ofSometimes = main.filter(({ service }) => service === 'sometimes');
    const known = new Set(atSometimes.map(traceOf));
    for (const [trace, count] of countByTrace(ofSometimes)) assert.equal(count, 1, trace);
    /* Of one that was taken up amid an exchange only the rest is seen. */
    for (const { hop } of hopsOf(asFileSpans(ofSometimes)).hops)
      assert.ok(known.has(hop.traceId) || hop.attributes['hopspan.connection.preexisting'], hop.spanId);
    /* Numbers on its connections to the backend count from when it was a target; the ids are in the heads that were seen. */
    const withId = ofSometimes.filter(({ traceId }) => known.has(traceId));
    const seen = judge(withId, atSometimes, backend.arrivals, ({ port }) => `${port}`);
    t.diagnostic(`of ${atSometimes.length} through a target at times: ${JSON.stringify(seen)}`);
    assert.ok(seen.right > 0);
    assert.deepEqual(seen.wrong, []);
  });
});
