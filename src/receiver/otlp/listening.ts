import type { ListenAddress } from '../../config/types.ts';
import { endpointText } from '../../spans/addresses.ts';

/** A server that listens. */
export interface Listening {
  /** With the port that it got. */
  readonly address: string;
  /** Takes nothing new, and lets requests under way end for at most `timeoutMs` milliseconds. */
  close(timeoutMs: number): Promise<void>;
}

export function addressText({ host, port }: ListenAddress): string {
  return endpointText({ address: host, port });
}
