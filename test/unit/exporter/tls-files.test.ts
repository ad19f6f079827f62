import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createTlsReader } from '../../../src/exporter/otlp/tls-files.ts';
import { makeCertificate } from '../../harness/certificate.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

test('files are read anew, and those that cannot be used leave the ones before', async (t) => {
  const [first, second] = [makeCertificate(after), makeCertificate(after)];
  const folder = temporaryFolder(t.after.bind(t));
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const install = ({ cert, key }: typeof first): void => {
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
  };
  const read = createTlsReader({ certFile, keyFile, insecure: false });
  await assert.rejects(read(), /cert\.pem does not exist/);
  install(first);
  const certOf = async (): Promise<string> => String((await read()).cert);
  assert.equal(await certOf(), String(first.cert));
  writeFileSync(certFile, second.cert);
  assert.equal(await certOf(), String(first.cert), 'a certificate whose key is not there yet');
  install(second);
  assert.equal(await certOf(), String(second.cert));
  rmSync(keyFile);
  assert.equal(await certOf(), String(second.cert));
});
