import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ListenAddress } from '../config/types.ts';
import { HopspanError } from '../errors.ts';
import { addressText } from '../receiver/otlp/listening.ts';

/** Whoever asks for health or metrics asks shortly, and there are few of them. */
const REQUEST_MS = 10_000;
const MAX_CONNECTIONS = 64;
const MAX_HEADER_BYTES = 8192;

/** Small pages by path, GET only; those with the same address share a server. */
export interface HttpPages {
  add(listen: ListenAddress, path: string, page: RequestListener): void;
  /** Listens on what was added. @throws HopspanError LISTEN_FAILED */
  start(): Promise<void>;
  /** Where the pages are, as URLs. */
  urls(): string[];
  close(): Promise<void>;
}

export function createHttpPages(): HttpPages {
  const byAddress = new Map<string, { listen: ListenAddress; pages: Map<string, RequestListener> }>();
  const servers = new Map<Server, ReadonlyMap<string, RequestListener>>();

  return {
    add(listen, path, page) {
      const key = addressText(listen);
      const place = byAddress.get(key) ?? { listen, pages: new Map() };
      byAddress.set(key, place);
      place.pages.set(path, page);
    },
    async start() {
      for (const { listen, pages } of byAddress.values()) servers.set(await serve(listen, pages), pages);
    },
    urls: () =>
      [...servers].flatMap(([server, pages]) => {
        const { address, port } = server.address() as AddressInfo;
        return [...pages.keys()].map((path) => `http://${addressText({ host: address, port })}${path}`);
      }),
    async close() {
      const closing = [...servers.keys()].map(closeNow);
      servers.clear();
      await Promise.all(closing);
    },
  };
}

async function serve(listen: ListenAddress, pages: ReadonlyMap<string, RequestListener>): Promise<Server> {
  const server = createServer(
    { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS, maxHeaderSize: MAX_HEADER_BYTES },
    (request, response) => {
      request.resume(); // a body is of no use to anybody
      const page = pages.get(request.url?.split('?', 1)[0] ?? '');
      if (!page) response.writeHead(404).end();
      else if (request.method !== 'GET' && request.method !== 'HEAD')
        response.writeHead(405, { allow: 'GET, HEAD' }).end();
      else page(request, response);
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(listen.port, listen.host, resolve);
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new HopspanError(
      'LISTEN_FAILED',
      `hopspan cannot listen on ${addressText(listen)} for ${[...pages.keys()].join(', ')} (${reason}); choose another endpoint, or end what listens there.`,
      { cause: error },
    );
  }
  server.removeAllListeners('error');
  /* Later ones (no file descriptor for a connection) must not end the process. */
  server.on('error', () => {});
  return server;
}

function closeNow(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
