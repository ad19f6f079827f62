import type { Attributes, Meter } from '@opentelemetry/api';
import type { Balance, BalanceWindow, ListenerCount } from '../balance/balance.ts';
import { isCertain } from '../balance/pinned.ts';
import { instrument } from './instrument.ts';

export interface BalanceSources {
  readonly balance: Pick<Balance, 'listeners' | 'findings'>;
  /** Has each window told to `record`. */
  onWindow(record: (window: BalanceWindow) => void): void;
}

/** Bounds of the histogram, in requests of one connection in one window. */
const BOUNDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000];

/** How requests are spread: a series for each listener and upstream, none for a connection. */
export function measureBalance(meter: Meter, { balance, onWindow }: BalanceSources): void {
  meter.createObservableCounter(...instrument('hopspan.listener.requests')).addCallback((result) => {
    for (const listener of balance.listeners()) {
      if (listener.port) result.observe(listener.total, labels(listener));
    }
  });
  meter.createObservableCounter(...instrument('hopspan.upstream.requests')).addCallback((result) => {
    for (const listener of balance.listeners()) {
      for (const { name, total } of listener.upstreams.values()) {
        if (total > 0) result.observe(total, { ...labels(listener), upstream: name });
      }
    }
  });
  meter
    .createObservableCounter(...instrument('hopspan.balance.pinned'))
    .addCallback((result) => result.observe(balance.findings().filter(isCertain).length));
  const requests = meter.createHistogram(
    ...instrument('hopspan.connection.requests', { explicitBucketBoundaries: BOUNDS }),
  );
  const share = meter.createGauge(...instrument('hopspan.connection.share'));
  onWindow(({ listeners }) => {
    for (const listener of listeners) {
      let most = 0;
      for (const { window } of listener.connections) {
        if (window > 0) requests.record(window, labels(listener));
        most = Math.max(most, window);
      }
      if (most > 0) share.record(most / listener.window, labels(listener));
    }
  });
}

function labels({ proxy, port }: ListenerCount): Attributes {
  return port ? { proxy, listener: port } : { proxy };
}
