import { readFile } from 'node:fs/promises';
import { type ChannelCredentials, credentials, Metadata } from '@grpc/grpc-js';
import { HopspanError } from '../../errors.ts';
import type { OtlpTlsOptions } from './options.ts';

async function readPem(what: string, path: string | undefined): Promise<Buffer | null> {
  if (path === undefined) return null;
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
    throw new HopspanError(
      'EXPORTER_START_FAILED',
      `The otlp exporter's ${what} ${path} ${why}; correct the path or its permissions.`,
      { cause: error },
    );
  }
}

/**
 * Channel credentials for TLS, from PEM files.
 * @throws HopspanError EXPORTER_START_FAILED for a file that is missing, unreadable or no PEM
 */
export async function tlsCredentials(tls: OtlpTlsOptions): Promise<ChannelCredentials> {
  if ((tls.certFile === undefined) !== (tls.keyFile === undefined)) {
    throw new HopspanError(
      'EXPORTER_START_FAILED',
      'The otlp exporter has only one of a client certificate and its key; give both or neither.',
    );
  }
  // One after the other, so that of two bad files it is always the same one that is named.
  const ca = await readPem('CA file', tls.caFile);
  const cert = await readPem('client certificate', tls.certFile);
  const key = await readPem('client key', tls.keyFile);
  try {
    return credentials.createSsl(ca, key, cert);
  } catch (error) {
    const files = [tls.caFile, tls.certFile, tls.keyFile].filter((file) => file !== undefined).join(', ');
    throw new HopspanError(
      'EXPORTER_START_FAILED',
      `The otlp exporter cannot use ${files} for TLS (${(error as Error).message}); check that they are PEM files that belong together.`,
      { cause: error },
    );
  }
}

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
