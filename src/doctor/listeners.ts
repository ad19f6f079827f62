import { isLoopback, type Listener } from '../config/listeners.ts';
import { addressText } from '../receiver/otlp/listening.ts';
import { type Finding, ok, warn } from './finding.ts';

/** Where hopspan would answer: nowhere by default, and on loopback unless the configuration says another address. */
export function checkListeners(listeners: readonly Listener[]): Finding {
  const item = 'listeners';
  const text = (those: readonly Listener[]): string =>
    those.map(({ listen }) => addressText(listen)).join(', ');
  const open = listeners.filter(({ listen }) => !isLoopback(listen.host));
  if (open.length > 0)
    return warn(
      item,
      `the network can reach ${text(open)}, where hopspan asks for no credentials`,
      'choose 127.0.0.1 or [::1], or let a firewall or a network policy decide who may.',
    );
  return ok(
    item,
    listeners.length === 0 ? 'none: hopspan listens nowhere' : `on loopback only: ${text(listeners)}`,
  );
}
