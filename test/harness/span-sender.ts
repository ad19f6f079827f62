import { Agent, request } from 'node:http';
import { requestBytes } from './foreign-spans.ts';

/** Of one request. */
const SPANS = 50;

/** Sends applications' spans over OTLP/HTTP, one request after the other; comes again with what was refused, as an SDK does. */
export interface SpanSender {
  /** Ids of the spans that were taken, in order. */
  readonly taken: readonly string[];
  /** Sends until so many spans are taken in all, or nobody listens any more. */
  sendUntil(taken: number): Promise<void>;
  stop(): void;
}

export function createSpanSender(port: number): SpanSender {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const taken: string[] = [];
  let next = 1;

  function post(body: Uint8Array): Promise<number | undefined> {
    return new Promise((resolve) => {
      const headers = { 'content-type': 'application/x-protobuf', 'content-length': body.length };
      const path = '/v1/traces';
      const sent = request({ host: '127.0.0.1', port, method: 'POST', path, agent, headers }, (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode));
        response.on('error', () => resolve(undefined));
      });
      sent.on('error', () => resolve(undefined));
      sent.end(body);
    });
  }

  return {
    taken,
    async sendUntil(count) {
      while (taken.length < count) {
        const ids = Array.from({ length: SPANS }, () => (next++).toString(16).padStart(16, '0'));
        const spans = ids.map((spanId) => ({
          ...{ spanId, traceId: spanId.padStart(32, 'a'), kind: 2, name: 'GET /orders/{id}' },
          ...{ startTimeUnixNano: '1767323045000000000', endTimeUnixNano: '1767323045010000000' },
          attributes: [{ key: 'url.path', value: { stringValue: `/orders/${spanId}` } }],
        }));
        const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] };
        const body = requestBytes({ resourceSpans: [{ resource, scopeSpans: [{ spans }] }] });
        for (let status: number | undefined = 503; status === 503; ) {
          status = await post(body);
          if (status === undefined) return;
          if (status === 200) taken.push(...ids);
          else if (status === 503) await new Promise((resolve) => setTimeout(resolve, 20));
          else throw new Error(`the receiver answered ${status}`);
        }
      }
    },
    stop: () => agent.destroy(),
  };
}
