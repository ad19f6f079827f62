import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createReadiness, STUCK_MS } from '../../../src/telemetry/health.ts';

const EXPORTER = { name: 'otlp', accepted: 10, exported: 0, dropped: 0, waiting: 0 };

describe('readiness', () => {
  it('needs attached probes, and not that a target runs', () => {
    const of = (attached: boolean, watched: number) =>
      createReadiness({ receivers: () => [{ name: 'ebpf', attached, watched }], exporters: () => [] })();
    assert.equal(of(false, 0).ready, false);
    assert.deepEqual(of(true, 0), {
      ready: true,
      parts: [{ part: 'receiver ebpf', ok: true, state: 'waits for its targets' }],
    });
    assert.equal(of(true, 2).parts[0]?.state, 'watches 2');
  });

  it('ends when an exporter gets rid of nothing for a minute, and comes back when it does', () => {
    let nowMs = 0;
    let stats = EXPORTER;
    const readiness = createReadiness({ receivers: () => [], exporters: () => [stats] }, () => nowMs);
    const at = (ms: number, changes: Partial<typeof EXPORTER>): boolean => {
      nowMs = ms;
      stats = { ...stats, ...changes };
      return readiness().ready;
    };
    assert.ok(at(0, {}));
    assert.ok(at(10 * STUCK_MS, {}), 'nothing waits');
    assert.ok(at(10 * STUCK_MS + 1, { waiting: 5 }), 'it has just begun to wait');
    assert.ok(at(11 * STUCK_MS - 1, {}));
    assert.ok(!at(11 * STUCK_MS + 1, {}), 'a minute without progress');
    assert.ok(at(11 * STUCK_MS + 2, { exported: 1, waiting: 4 }), 'something went out');
    assert.ok(!at(13 * STUCK_MS, {}));
    assert.ok(at(13 * STUCK_MS + 1, { dropped: 4, waiting: 0 }));
  });
});
