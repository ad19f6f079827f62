import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { malformed } from './hopspan.ts';
import { checkIdle, checkOutcome, expectedOf } from './outcome-checks.ts';
import { type OutcomeRun, runScenarios, type Start } from './outcome-run.ts';
import { IDLE_SCENARIOS, type ProxyKind, SCENARIOS } from './outcome-scenarios.ts';

/** At once, of every scenario. */
const CONNECTIONS = 8;
const CONNECT_TIMEOUT_MS = 700;
const IDLE_TIMEOUT_MS = 1500;

/** Tests of all scenarios through one proxy, whose connections are all under way at the same time. */
export function describeOutcomes(kind: ProxyKind, start: Start): void {
  describe(`what became of it, all at the same time through ${kind}`, () => {
    const scenarios = SCENARIOS.filter(({ upstream }) => upstream !== 'none' || kind !== 'nginx');
    let run: OutcomeRun;
    let idle: OutcomeRun;

    before(async () => {
      [run, idle] = await Promise.all([
        runScenarios(start, scenarios, CONNECTIONS, { connectTimeoutMs: CONNECT_TIMEOUT_MS, retries: 1 }),
        runScenarios(start, IDLE_SCENARIOS, CONNECTIONS, { idleTimeoutMs: IDLE_TIMEOUT_MS }),
      ]);
    });

    for (const scenario of scenarios) {
      test(`${scenario.name}: ${expectedOf(scenario, kind).outcome}`, () => checkOutcome(run, scenario));
    }
    for (const scenario of IDLE_SCENARIOS) {
      test(`${scenario.name}: ${scenario.outcome}`, () => checkIdle(idle, scenario));
    }
    test('spans are well-formed', () => assert.deepEqual(malformed([...run.spans, ...idle.spans]), []));
  });
}
