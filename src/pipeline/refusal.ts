import type { ExporterLog } from '../exporter/log.ts';
import { WARN_EVERY_MS } from './losses.ts';

/** Says, at most once a minute, that processors have receivers hold back. To be called often with whether they do. */
export function createRefusalWarning(
  log: Pick<ExporterLog, 'warn'>,
  nowMs: () => number = () => performance.now(),
): (refuses: boolean) => void {
  let toldAtMs = Number.NEGATIVE_INFINITY;
  return (refuses) => {
    if (!refuses || nowMs() - toldAtMs < WARN_EVERY_MS) return;
    toldAtMs = nowMs();
    log.warn(
      'memory is short: receivers wait; raise limit_mib of memory_limiter, or hold less in processors',
    );
  };
}
