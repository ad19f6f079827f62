import {
  Client,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { createRandom } from './random.ts';

export const KINDS = ['Unary', 'ClientStream', 'ServerStream', 'Bidi'] as const;
export type CallKind = (typeof KINDS)[number];

/** What a call is to do; the client's first message says it to the server. */
export interface CallPlan {
  readonly kind: CallKind;
  readonly requests: number;
  readonly answers: number;
  /** Most bytes of a message. */
  readonly bytes: number;
  /** The server ends with this status, before it has read all. */
  readonly early?: number;
  /** The client leaves when so many answers have come. */
  readonly cancelAfter?: number;
  /** The server never ends, and the client's deadline passes. */
  readonly deadlineMs?: number;
}

/** What one end of a call has seen and done: whole messages. */
export interface CallEnd {
  sent: number;
  received: number;
}

export interface Call {
  readonly plan: CallPlan;
  readonly traceparent: string;
  readonly client: CallEnd;
  readonly code: number;
}

type Bytes = Buffer<ArrayBufferLike>;
const same = (bytes: Bytes): Bytes => bytes;

const definition = (kind: CallKind): MethodDefinition<Bytes, Bytes> => ({
  path: `/test.Streams/${kind}`,
  requestStream: kind === 'ClientStream' || kind === 'Bidi',
  responseStream: kind === 'ServerStream' || kind === 'Bidi',
  ...{ requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same },
});

export interface GrpcServer {
  readonly port: number;
  /** By traceparent. */
  readonly calls: ReadonlyMap<string, CallEnd>;
  stop(): Promise<void>;
}

/** gRPC's own server; does what each call's plan says. */
export async function startGrpcServer(): Promise<GrpcServer> {
  const calls = new Map<string, CallEnd>();
  const server = new Server({ 'grpc.max_receive_message_length': 16_777_216 });
  const begin = (metadata: Metadata): CallEnd => {
    const end = { sent: 0, received: 0 };
    calls.set(String(metadata.get('traceparent')[0]), end);
    return end;
  };
  const planOf = (message: Bytes): CallPlan => JSON.parse(message.toString().trimEnd());
  const answers = (plan: CallPlan): Bytes[] => messagesOf(plan.answers, plan.bytes, 5);

  const unary: handleUnaryCall<Bytes, Bytes> = (call, reply) => {
    const end = begin(call.metadata);
    end.received++;
    end.sent++;
    reply(null, answers({ ...planOf(call.request), answers: 1 })[0]);
  };
  const clientStream: handleClientStreamingCall<Bytes, Bytes> = (call, reply) => {
    const end = begin(call.metadata);
    let plan: CallPlan | undefined;
    call.on('data', (message: Bytes) => {
      end.received++;
      plan ??= planOf(message);
      if (plan.early === undefined) return;
      call.removeAllListeners('data');
      reply({ code: plan.early });
    });
    call.on('end', () => {
      end.sent++;
      if (plan && plan.early === undefined) reply(null, answers(plan)[0]);
    });
  };
  const serverStream: handleServerStreamingCall<Bytes, Bytes> = (call) => {
    const end = begin(call.metadata);
    end.received++;
    const plan = planOf(call.request);
    for (const answer of answers(plan)) {
      end.sent++;
      call.write(answer);
    }
    finish(plan, call);
  };
  const bidi: handleBidiStreamingCall<Bytes, Bytes> = (call) => {
    const end = begin(call.metadata);
    call.on('error', () => {});
    call.on('data', (message: Bytes) => {
      end.received++;
      if (end.received > 1) {
        end.sent++;
        call.write(message);
        return;
      }
      const plan = planOf(message);
      for (const answer of answers(plan)) {
        end.sent++;
        call.write(answer);
      }
      if (plan.early !== undefined) finish(plan, call);
      else call.on('end', () => finish(plan, call));
    });
  };
  server.addService(
    Object.fromEntries(KINDS.map((kind) => [kind, definition(kind)])) as Record<
      CallKind,
      MethodDefinition<Bytes, Bytes>
    >,
    { Unary: unary, ClientStream: clientStream, ServerStream: serverStream, Bidi: bidi },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return {
    port,
    calls,
    stop: async () => server.forceShutdown(),
  };
}

function finish(
  plan: CallPlan,
  call: { end(): void; emit(event: 'error', status: { code: number }): unknown },
): void {
  if (plan.deadlineMs !== undefined || plan.cancelAfter !== undefined) return;
  if (plan.early === undefined) call.end();
  else call.emit('error', { code: plan.early });
}

/** Messages of any length, empty ones among them. */
export function messagesOf(count: number, most: number, seed: number): Bytes[] {
  const random = createRandom(seed * 1000 + count);
  return Array.from({ length: count }, () => Buffer.alloc(Math.floor(random() * (most + 1)), 0));
}

/** Calls by gRPC's own client, all at once, over one connection for `perConnection` of them. */
export async function runGrpcCalls(
  port: number,
  plans: readonly CallPlan[],
  perConnection = 20,
): Promise<Call[]> {
  const clients: Client[] = [];
  const calls = plans.map((plan, index) => {
    const at = Math.floor(index / perConnection);
    clients[at] ??= new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': 16_777_216,
    });
    return runCall(clients[at], plan, index);
  });
  const done = await Promise.all(calls);
  for (const client of clients) client.close();
  return done;
}

function runCall(client: Client, plan: CallPlan, index: number): Promise<Call> {
  const { kind } = plan;
  const path = `/test.Streams/${kind}`;
  const hex = (index + 1).toString(16);
  const traceparent = `00-a${hex.padStart(31, '0')}-b${hex.padStart(15, '0')}-01`;
  const metadata = new Metadata();
  metadata.set('traceparent', traceparent);
  const options = plan.deadlineMs === undefined ? {} : { deadline: Date.now() + plan.deadlineMs };
  const first = Buffer.from(JSON.stringify(plan).padEnd(plan.bytes));
  const requests = [first, ...messagesOf(plan.requests - 1, plan.bytes, index)];
  const ends: CallEnd = { sent: 0, received: 0 };
  return new Promise((resolve) => {
    const over = (code: number): void => resolve({ plan, traceparent, client: ends, code });
    const replied = (error: ServiceError | null): void => {
      if (!error) ends.received++;
      over(error?.code ?? status.OK);
    };
    if (kind === 'Unary') {
      ends.sent++;
      client.makeUnaryRequest(path, same, same, first, metadata, options, replied);
      return;
    }
    if (kind === 'ClientStream') {
      const call = client.makeClientStreamRequest(path, same, same, metadata, options, replied);
      for (const message of requests) {
        ends.sent++;
        call.write(message);
      }
      call.end();
      return;
    }
    const bidi =
      kind === 'Bidi' ? client.makeBidiStreamRequest(path, same, same, metadata, options) : undefined;
    const call = bidi ?? client.makeServerStreamRequest(path, same, same, first, metadata, options);
    call.on('data', () => {
      ends.received++;
      if (ends.received === plan.cancelAfter) call.cancel();
    });
    call.on('error', () => {});
    call.on('status', ({ code }: { code: number }) => over(code));
    for (const message of bidi ? requests : [first]) {
      ends.sent++;
      bidi?.write(message);
    }
    bidi?.end();
  });
}
