import { Metadata } from '@grpc/grpc-js';
import { HopspanError } from '../../errors.ts';

/**
 * Headers as gRPC metadata.
 * @throws HopspanError EXPORTER_START_FAILED with the name, never the value, of a header that gRPC refuses
 */
export function headerMetadata(headers: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) {
    try {
      metadata.set(name, name.toLowerCase().endsWith('-bin') ? Buffer.from(value, 'base64') : value);
    } catch {
      throw new HopspanError(
        'EXPORTER_START_FAILED',
        `The otlp exporter's header "${name}" cannot be sent over gRPC; its name may hold a-z, 0-9, "_", "." and "-", its value printable ASCII.`,
      );
    }
  }
  return metadata;
}
