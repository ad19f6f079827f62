import type { CloseBy, CloseHow, Outcome } from '../../src/spans/outcome.ts';
import type { EnvoyLogEntry, ProxyLogEntry, RunningProxy } from './proxies.ts';
import type { BackendOptions, ClientOptions } from './traffic.ts';

export type ProxyKind = RunningProxy['kind'];
type Closed = `${CloseBy} ${CloseHow}`;

/** One way in which an exchange can end, and what is said of it. */
export interface Scenario {
  readonly name: string;
  /** A backend, or: nobody listens, the proxy has no server, a server whose accept queue is full. */
  readonly upstream: BackendOptions | 'refused' | 'none' | 'full';
  readonly client: Omit<ClientOptions, 'port'>;
  readonly outcome: Outcome;
  readonly closed: readonly Closed[];
  /** Where a proxy does something else than the others. */
  readonly differs?: Partial<Record<ProxyKind, Pick<Scenario, 'outcome' | 'closed'>>>;
  /** What the proxy's own log says of the same connection; see `wordsOf`. */
  readonly words: Partial<Record<ProxyKind, RegExp>>;
}

/** Envoy: flags, then who reset downstream and upstream, and why it closed; HAProxy and nginx: their one word. */
export function wordsOf(entry: ProxyLogEntry | EnvoyLogEntry): string {
  if (!('flagsLong' in entry)) return entry.flags;
  const { flags, downstreamClose, upstreamClose, downstreamLocalCloseReason } = entry;
  return [flags, downstreamClose, upstreamClose, downstreamLocalCloseReason].join(' ').trim();
}

/** A proxy that passes the client's FIN on waits for the upstream's: so it answers in the end, to nobody. */
const SLOW = { thinkMs: 2000 };
/** More than all buffers on the way take; the client lets them fill before it reads its part and leaves. */
const LARGE = 24_000_000;
const leaves = (how: 'fin' | 'reset', when: 'sent' | 'part', afterMs = 0): Scenario['client'] => ({
  ...(when === 'part' ? { answerBytes: LARGE, connections: 4, pauseMs: 500 } : {}),
  abort: { exchange: 0, how, when, afterMs },
});
const BY_PROXY: readonly Closed[] = ['proxy fin', 'proxy reset'];

/** Nothing here depends on time: who leaves first is settled by who waits for whom. */
export const SCENARIOS: readonly Scenario[] = [
  {
    ...{ name: 'the client leaves by FIN after the whole answer', upstream: {}, client: { end: 'fin' } },
    ...{ outcome: 'ok', closed: ['client fin'] },
    words: { envoy: /^- Normal Normal/, haproxy: /^--$/, nginx: /^200$/ },
  },
  {
    ...{ name: 'the client leaves by RST after the whole answer', upstream: {}, client: { end: 'reset' } },
    ...{ outcome: 'ok', closed: ['client reset'] },
    words: { envoy: /^- RemoteReset/, haproxy: /^CD$/, nginx: /^200$/ },
  },
  {
    ...{ name: 'the client half-closes', upstream: { answerAfterFin: true }, client: { end: 'half-close' } },
    ...{ outcome: 'ok', closed: ['client fin'] },
    differs: { nginx: { outcome: 'client_aborted', closed: ['client fin'] } },
    words: { envoy: /^- Normal Normal/, haproxy: /^--$/, nginx: /^200$/ },
  },
  {
    ...{ name: 'the server closes after its answer', upstream: { closeAfter: 1 }, client: { end: 'server' } },
    ...{ outcome: 'ok', closed: ['upstream fin'] },
    words: { envoy: /^- Normal Normal/, haproxy: /^--$/, nginx: /^200$/ },
  },
  {
    ...{
      name: 'the client leaves by FIN before the answer',
      upstream: SLOW,
      client: leaves('fin', 'sent', 50),
    },
    ...{ outcome: 'client_aborted', closed: ['client fin'] },
    words: { envoy: /^- Normal Normal/, haproxy: /^(--|CD)$/, nginx: /^200$/ },
  },
  {
    ...{ name: 'the client resets before the answer', upstream: SLOW, client: leaves('reset', 'sent', 50) },
    ...{ outcome: 'client_aborted', closed: ['client reset'] },
    words: { envoy: /^- RemoteReset/, haproxy: /^CD$/, nginx: /^200$/ },
  },
  {
    ...{ name: 'the client resets in mid-answer', upstream: {}, client: leaves('reset', 'part') },
    ...{ outcome: 'client_aborted', closed: ['client reset'] },
    words: { envoy: /^- RemoteReset/, haproxy: /^CD$/, nginx: /^200$/ },
  },
  {
    ...{ name: 'the client closes in mid-answer', upstream: {}, client: leaves('fin', 'part') },
    ...{ outcome: 'client_aborted', closed: ['client fin', 'client reset'] },
    words: { envoy: /^- (RemoteReset|Normal)/, haproxy: /^CD$/, nginx: /^200$/ },
  },
  {
    ...{ name: 'nobody listens upstream', upstream: 'refused', client: {} },
    ...{ outcome: 'upstream_refused', closed: BY_PROXY },
    words: { envoy: /^UF,URX /, haproxy: /^SC$/, nginx: /^502$/ },
  },
  {
    ...{ name: 'the proxy knows no upstream', upstream: 'none', client: {} },
    ...{ outcome: 'no_upstream', closed: BY_PROXY },
    words: { envoy: /^UH /, haproxy: /^SC$/ },
  },
  {
    ...{ name: 'the upstream takes no connection in time', upstream: 'full', client: {} },
    ...{ outcome: 'upstream_connect_timeout', closed: BY_PROXY },
    words: { envoy: /^UF,URX /, haproxy: /^sC$/, nginx: /^502$/ },
  },
  {
    ...{ name: 'the upstream resets before its answer', upstream: { fault: 'reset' }, client: {} },
    ...{ outcome: 'upstream_reset', closed: ['upstream reset'] },
    words: { envoy: /^UR \S+ RemoteReset/, haproxy: /^SD$/, nginx: /^200$/ },
  },
  {
    ...{ name: 'the upstream resets in mid-answer', upstream: { fault: 'reset-mid-answer' }, client: {} },
    ...{ outcome: 'upstream_reset', closed: ['upstream reset'] },
    words: { envoy: /^UR \S+ RemoteReset/, haproxy: /^(SD|--)$/, nginx: /^200$/ },
  },
  {
    ...{ name: 'the upstream closes without an answer', upstream: { fault: 'close' }, client: {} },
    ...{ outcome: 'upstream_closed_early', closed: ['upstream fin'] },
    words: { envoy: /^- Normal Normal/, haproxy: /^--$/, nginx: /^200$/ },
  },
  {
    ...{ name: 'the upstream closes in mid-answer', upstream: { fault: 'close-mid-answer' }, client: {} },
    ...{ outcome: 'ok', closed: ['upstream fin'] }, // of opaque bytes nobody knows how many should have come
    words: { envoy: /^- Normal Normal/, haproxy: /^--$/, nginx: /^200$/ },
  },
  {
    ...{ name: 'the upstream closes on accept', upstream: { onAccept: 'close' }, client: { end: 'server' } },
    ...{ outcome: 'upstream_closed_early', closed: ['upstream fin'] },
    words: { envoy: /^- Normal Normal/, haproxy: /^--$/, nginx: /^200$/ },
  },
  {
    ...{ name: 'the client says nothing', upstream: {}, client: { exchanges: 0 } },
    ...{ outcome: 'idle_closed', closed: ['client fin'] },
    words: { envoy: /^- Normal Normal/, haproxy: /^(--|CD|CC)$/, nginx: /^200$/ },
  },
];

/** For a proxy that closes what is idle. */
export const IDLE_SCENARIOS: readonly Scenario[] = [
  {
    ...{ name: 'nothing happens after an answer', upstream: {}, client: { end: 'server' } },
    ...{ outcome: 'idle_closed', closed: ['proxy fin'] },
    words: { envoy: /^- Normal Normal tcp_session_idle_timeout/, haproxy: /^[cs]D$/, nginx: /^200$/ },
  },
  {
    ...{ name: 'no answer comes in time', upstream: { fault: 'silent' }, client: { end: 'server' } },
    ...{ outcome: 'proxy_reset', closed: ['proxy fin'] },
    words: { envoy: /^- Normal Normal tcp_session_idle_timeout/, haproxy: /^[cs]D$/, nginx: /^200$/ },
  },
];
