import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Backoff } from '../../../src/exporter/otlp/backoff.ts';
import type { Batch } from '../../../src/exporter/otlp/batch.ts';
import { parseEndpoint } from '../../../src/exporter/otlp/endpoint.ts';
import { DEFAULT_OTLP_OPTIONS } from '../../../src/exporter/otlp/options.ts';
import { createOtlpExporter } from '../../../src/exporter/otlp/otlp-exporter.ts';
import type { SendResult } from '../../../src/exporter/otlp/send-result.ts';
import { createLogLines } from '../../harness/log-lines.ts';
import { makeExchange } from '../../harness/make-spans.ts';
import { createManualClock } from '../../harness/manual-clock.ts';

const DOWN: SendResult = {
  outcome: 'retry',
  reason: 'UNAVAILABLE: nobody there',
  afterMs: 0,
  connected: false,
};
const TAKEN: SendResult = { outcome: 'taken', rejected: 0, message: '' };

/** An exporter over a client that answers what `answer` says, on a clock that the test owns. */
async function start(maxElapsedMs = 0) {
  const clock = createManualClock();
  const log = createLogLines();
  const sent: { atMs: number; spans: number }[] = [];
  const state = { answer: DOWN as SendResult, renewed: 0 };
  const exporter = createOtlpExporter(
    'otlp',
    {
      ...DEFAULT_OTLP_OPTIONS,
      retry: { enabled: true, initialIntervalMs: 1000, maxIntervalMs: 30_000, maxElapsedMs },
    },
    {
      log,
      clock,
      random: () => 0.5,
      connect: async () => ({
        send: async (batch: Batch) => {
          sent.push({ atMs: clock.now(), spans: batch.count });
          return state.answer;
        },
        renew: () => void state.renewed++,
        close: () => {},
      }),
    },
  );
  await exporter.start();
  /** Runs what promises have ready, then lets the time pass in small steps. */
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 100) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(Math.min(100, left));
    }
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { clock, log, sent, state, exporter, pass };
}

describe('back-off', () => {
  test('grows by half each time, up to the maximum', () => {
    const backoff = new Backoff(DEFAULT_OTLP_OPTIONS.retry, () => 0.5);
    const steps = Array.from({ length: 12 }, () => backoff.nextMs());
    assert.deepEqual(steps.slice(0, 4), [1000, 1500, 2250, 3375]);
    assert.equal(steps.at(-1), 30_000);
    backoff.reset();
    assert.equal(backoff.nextMs(), 1000);
  });

  test('is spread by half to either side', () => {
    assert.equal(new Backoff(DEFAULT_OTLP_OPTIONS.retry, () => 0).nextMs(), 500);
    assert.equal(new Backoff(DEFAULT_OTLP_OPTIONS.retry, () => 0.999).nextMs(), 1499);
  });

  test('one request tries an endpoint that is down, whatever waits', async () => {
    const { exporter, sent, pass } = await start();
    for (let n = 0; n < 400; n++) exporter.export(makeExchange({ traceNumber: n }));
    await pass(100);
    // Four were under way when the first failure was known.
    assert.equal(sent.length, 4);
    await pass(6000);
    assert.deepEqual(
      sent.slice(4).map((request) => request.atMs),
      [1000, 2500, 4750],
    );
  });

  test("the server's own time is kept when it is longer", async () => {
    const { exporter, sent, pass, state } = await start();
    state.answer = { ...DOWN, afterMs: 5000 };
    exporter.export(makeExchange());
    await pass(6000);
    assert.deepEqual(
      sent.map((request) => request.atMs),
      [200, 5200],
    );
  });

  test('every new attempt after a lost connection is a new connection', async () => {
    const { exporter, state, pass } = await start();
    exporter.export(makeExchange());
    await pass(3000);
    assert.equal(state.renewed, 2);
  });

  test('a batch is given up after maxElapsedMs', async () => {
    const { exporter, log, pass } = await start(10_000);
    exporter.export(makeExchange());
    await pass(20_000);
    assert.equal(exporter.stats().dropped, 8);
    assert.match(log.lines.at(-1) ?? '', /has taken nothing for 10 s.*0 spans waiting, 8 dropped/);
  });

  test('warns at once, then every 30 s with the count waiting, and says when it is over', async () => {
    const { exporter, log, state, pass, clock } = await start();
    exporter.export(makeExchange());
    await pass(1000);
    exporter.export(makeExchange({ traceNumber: 1 }));
    await pass(99_000);
    state.answer = TAKEN;
    await pass(60_000);
    const prefix = 'Exporter otlp: http://localhost:4317';
    const down = `warn ${prefix} does not answer (UNAVAILABLE: nobody there)`;
    assert.deepEqual(
      log.lines.map((line) => line.replace(/\d+\.\d s/, 'N s')),
      [
        `${down}: 8 spans waiting, 0 dropped so far.`,
        ...Array.from({ length: log.lines.length - 2 }, () => `${down}: 16 spans waiting, 0 dropped so far.`),
        `info ${prefix} answers again after N s: 8 spans waiting, 0 dropped so far.`,
      ],
    );
    assert.ok(log.lines.length >= 4 && log.lines.length <= 6, `${log.lines.length} lines in 130 s`);
    assert.equal(exporter.stats().exported, 16);
    await exporter.shutdown(1000);
    assert.equal(clock.armed, 0);
  });
});

describe('endpoint', () => {
  for (const [endpoint, insecure, address, plainText] of [
    ['http://localhost:4317', false, 'localhost:4317', true],
    ['https://collector.example', false, 'collector.example:4317', false],
    ['HTTPS://collector.example:443/', false, 'collector.example:443', false],
    ['http://[::1]:4400', false, '[::1]:4400', true],
    ['http://host:80', false, 'host:80', true],
    ['collector:4317', false, 'collector:4317', false],
    ['collector:4317', true, 'collector:4317', true],
    ['https://collector:4317', true, 'collector:4317', false],
    ['unix:/run/otlp.sock', false, 'unix:/run/otlp.sock', true],
    ['unix:///run/otlp.sock', false, 'unix:/run/otlp.sock', true],
  ] as const) {
    test(`${endpoint}${insecure ? ' (insecure)' : ''} is ${address}`, () => {
      assert.deepEqual(parseEndpoint(endpoint, insecure), { address, plainText });
    });
  }

  for (const endpoint of [
    '',
    'http://',
    'ftp://host:1',
    'http://host:99999',
    'http://user@host:1',
    'unix://',
  ]) {
    test(`"${endpoint}" is refused`, () => {
      assert.throws(() => parseEndpoint(endpoint, false), { code: 'CONFIG_INVALID' });
    });
  }
});
