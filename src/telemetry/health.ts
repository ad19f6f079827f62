import type { RequestListener } from 'node:http';
import type { ExporterStats } from '../exporter/exporter.ts';

/** An exporter that has spans and gets rid of none for so long is stuck. */
export const STUCK_MS = 60_000;

export interface HealthSources {
  /** Receivers: whether their probes are attached, and how many processes they watch; none may run yet. */
  receivers(): readonly { readonly name: string; readonly attached: boolean; readonly watched: number }[];
  exporters(): readonly ExporterStats[];
}

/** Whether hopspan does its work now; each word says of what, and how it is. */
export interface Readiness {
  readonly ready: boolean;
  readonly parts: readonly { readonly part: string; readonly ok: boolean; readonly state: string }[];
}

/** Looks at the sources each time it is asked, and at what has changed since. */
export function createReadiness(sources: HealthSources, nowMs = () => performance.now()): () => Readiness {
  const progress = new Map<string, { done: number; atMs: number }>();

  function isStuck({ name, exported, dropped, waiting }: ExporterStats): boolean {
    const done = exported + dropped;
    const last = progress.get(name);
    if (waiting === 0 || !last || last.done !== done) {
      progress.set(name, { done, atMs: nowMs() });
      return false;
    }
    return nowMs() - last.atMs >= STUCK_MS;
  }

  return () => {
    const parts = [
      ...sources.receivers().map(({ name, attached, watched }) => ({
        part: `receiver ${name}`,
        ok: attached,
        state: attached ? (watched > 0 ? `watches ${watched}` : 'waits for its targets') : 'not attached',
      })),
      ...sources.exporters().map((stats) => {
        const stuck = isStuck(stats);
        const state = stuck ? `has sent nothing for ${STUCK_MS / 1000} s; ${stats.waiting} spans wait` : 'ok';
        return { part: `exporter ${stats.name}`, ok: !stuck, state };
      }),
    ];
    return { ready: parts.every(({ ok }) => ok), parts };
  };
}

/** 200 while the process can answer at all. */
export const healthzPage: RequestListener = (_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
};

/** 200 when all parts are ready, 503 when not; a line for each part. */
export function readyzPage(readiness: () => Readiness): RequestListener {
  return (_request, response) => {
    const { ready, parts } = readiness();
    const lines = parts.map(({ part, ok, state }) => `${ok ? '+' : '-'} ${part}: ${state}\n`);
    response
      .writeHead(ready ? 200 : 503, { 'content-type': 'text/plain; charset=utf-8' })
      .end(lines.join(''));
  };
}
