import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { HopspanError } from '../../errors.ts';
import type { OtlpTlsOptions } from './options.ts';

/** The PEM files' contents; null for those that are not set. */
export interface TlsFiles {
  readonly ca: Buffer | null;
  readonly cert: Buffer | null;
  readonly key: Buffer | null;
}

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
 * Reads the PEM files of TLS and tries them.
 * @throws HopspanError EXPORTER_START_FAILED for a file that is missing, unreadable or no PEM
 */
export async function readTlsFiles(tls: OtlpTlsOptions): Promise<TlsFiles> {
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
  const files = { ca, cert, key };
  try {
    createSecureContext(given(files));
  } catch (error) {
    const names = [tls.caFile, tls.certFile, tls.keyFile].filter((file) => file !== undefined).join(', ');
    throw new HopspanError(
      'EXPORTER_START_FAILED',
      `The otlp exporter cannot use ${names} for TLS (${(error as Error).message}); check that they are PEM files that belong together.`,
      { cause: error },
    );
  }
  return files;
}

/**
 * Reads the files anew with each call, for certificates are renewed under the same names. Those that cannot be used, being
 * half written for example, leave the ones before; the first ones throw as `readTlsFiles` does.
 */
export function createTlsReader(tls: OtlpTlsOptions): () => Promise<TlsFiles> {
  let good: TlsFiles | undefined;
  return async () => {
    try {
      good = await readTlsFiles(tls);
    } catch (error) {
      if (good === undefined) throw error;
    }
    return good;
  };
}

/** As Node's TLS takes them: without those that are not set. */
export function given({ ca, cert, key }: TlsFiles): SecureContextOptions {
  return { ...(ca ? { ca } : {}), ...(cert ? { cert } : {}), ...(key ? { key } : {}) };
}
