import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from './temporary-folder.ts';

/** A key and a certificate that it signs itself, for `service.test`; files and their texts. */
export interface Certificate {
  readonly keyFile: string;
  readonly certFile: string;
  /** Both in one file, as HAProxy wants them. */
  readonly bothFile: string;
  readonly key: string;
  readonly cert: string;
}

/** Made by openssl, in a folder that `after` removes. */
export function makeCertificate(after: (remove: () => void) => void): Certificate {
  const folder = temporaryFolder(after);
  const [keyFile, certFile, bothFile] = ['key.pem', 'cert.pem', 'both.pem'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const files = ['-keyout', keyFile, '-out', certFile];
  execFileSync('openssl', ['req', '-x509', ...curve, ...files, '-subj', '/CN=service.test'], {
    stdio: 'ignore',
  });
  const [key, cert] = [readFileSync(keyFile, 'utf8'), readFileSync(certFile, 'utf8')];
  writeFileSync(bothFile, cert + key);
  return { keyFile, certFile, bothFile, key, cert };
}
