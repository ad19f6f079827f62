import type { OtlpReceiverConfig } from '../../config/types.ts';
import { HopspanError } from '../../errors.ts';
import { Intake, type IntakeStats, type SpanInput } from './intake.ts';
import { addressText, type Listening } from './listening.ts';

/** At the end, for requests under way: they are short, and senders that stopped in one hold up nobody. */
const DRAIN_MS = 2000;

/** Takes applications' spans by OTLP and hands them on as they are. */
export interface OtlpReceiver {
  readonly name: string;
  /** @throws HopspanError RECEIVER_START_FAILED */
  start(): Promise<void>;
  /** Ends within `timeoutMs` milliseconds: requests under way are answered, new ones told to come again. */
  stop(timeoutMs: number): Promise<void>;
  /** Where it listens, by protocol. */
  addresses(): Readonly<Partial<Record<'grpc' | 'http', string>>>;
  readonly stats: Readonly<IntakeStats>;
}

export function createOtlpReceiver(config: OtlpReceiverConfig, input: SpanInput): OtlpReceiver {
  const intake = new Intake(input);
  const servers = new Map<'grpc' | 'http', Listening>();

  /** The servers' modules are large: each is loaded only where it is used. */
  async function listen(): Promise<void> {
    const { grpc, http } = config;
    if (grpc) {
      const { listenGrpc } = await import('./grpc.ts');
      servers.set('grpc', await orSay(grpc.listen, listenGrpc(grpc, intake)));
    }
    if (http) {
      const { listenHttp } = await import('./http.ts');
      servers.set('http', await orSay(http.listen, listenHttp(http, intake)));
    }
  }

  async function orSay(
    address: Parameters<typeof addressText>[0],
    listening: Promise<Listening>,
  ): Promise<Listening> {
    try {
      return await listening;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new HopspanError(
        'RECEIVER_START_FAILED',
        `The receiver ${config.name} cannot listen on ${addressText(address)} (${reason}); choose another endpoint, or end what listens there.`,
        { cause: error },
      );
    }
  }

  return {
    name: config.name,
    start: listen,
    async stop(timeoutMs) {
      const closing = [...servers.values()].map((server) =>
        server.close(Math.max(0, Math.min(timeoutMs, DRAIN_MS))),
      );
      servers.clear();
      await Promise.all(closing);
      intake.closed = true;
    },
    addresses: () => Object.fromEntries([...servers].map(([protocol, { address }]) => [protocol, address])),
    stats: intake.stats,
  };
}
