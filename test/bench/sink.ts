/** An OTLP/gRPC endpoint in a process of its own that answers every request unread: `node sink.ts` prints its port. */
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';

function runSink(): void {
  const server = createServer().on('stream', (stream) => {
    stream.resume();
    stream.on('error', () => {});
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.alloc(5)); // an empty ExportTraceServiceResponse
    });
  });
  server.listen(0, '127.0.0.1', () => {
    process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`);
  });
}

if (import.meta.main) runSink();
