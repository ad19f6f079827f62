import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { PROMETHEUS_FILE, RULES_FILE, RULES_TEST_FILE, readRules } from '../../harness/promql.ts';

const promtool = (...args: string[]): void => {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { encoding: 'utf8' });
  if (error) throw error;
  assert.equal(status, 0, `${stdout}${stderr}`);
};

interface RulesTest {
  readonly tests: readonly {
    readonly alert_rule_test?: readonly {
      readonly alertname: string;
      readonly exp_alerts: readonly object[];
    }[];
    readonly promql_expr_test?: readonly { readonly expr: string }[];
  }[];
}

describe('the rules for Prometheus', () => {
  it('are accepted by promtool', () => promtool('check', 'rules', RULES_FILE));
  it('stand in a configuration that is', () => promtool('check', 'config', PROMETHEUS_FILE));
  it('do what their tests say', () => promtool('test', 'rules', RULES_TEST_FILE));

  const { tests } = parse(readFileSync(RULES_TEST_FILE, 'utf8')) as RulesTest;
  for (const { record, alert } of readRules()) {
    it(`${record ?? alert} has a test`, () => {
      if (record) {
        const tested = tests.flatMap(({ promql_expr_test = [] }) => promql_expr_test);
        assert.ok(tested.some(({ expr }) => expr.includes(record)));
        return;
      }
      const runs = tests.flatMap(({ alert_rule_test = [] }) => alert_rule_test);
      const own = runs.filter(({ alertname }) => alertname === alert);
      assert.ok(
        own.some(({ exp_alerts }) => exp_alerts.length > 0),
        'never fires',
      );
      assert.ok(
        own.some(({ exp_alerts }) => exp_alerts.length === 0),
        'is never quiet',
      );
    });
  }
});
