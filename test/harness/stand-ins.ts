import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Docker } from './docker.ts';
import { envoyBinary } from './envoy.ts';
import { pathOf } from './fetched.ts';
import { jaegerBinary } from './jaeger.ts';
import { otelcolBinary } from './otelcol.ts';

const FILES = fileURLToPath(new URL('docker', import.meta.url));
const NPM = 'npm@11.6.2';
const BUILD_MS = 600_000;
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

/** npm as the registry gives it out, for an image with a Node that brings none. */
function packNpm(folder: string): string {
  const { status, stdout, stderr } = spawnSync('npm', ['pack', '--silent', NPM], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`npm pack ${NPM}: ${stderr}`);
  return join(folder, stdout.trim());
}

/**
 * Gives `docker` images under the names of public ones, so that Dockerfile and docker-compose.yml are used as they are
 * on machines that reach no registry of images. Each is made of the binary that other tests use, after the file in
 * test/harness/docker/ that says how it is like the image it stands for. `images` has the names.
 */
export async function makeStandIns(
  docker: Docker,
  dockerFolder: string,
  folder: string,
  images: readonly string[],
): Promise<void> {
  const contents: Readonly<Record<string, Readonly<Record<string, () => string>>>> = {
    debian: { 'ca-certificates.crt': () => process.env.NODE_EXTRA_CA_CERTS ?? CERTIFICATES },
    node: { node: () => process.execPath, 'npm.tgz': () => packNpm(folder) },
    envoy: { envoy: envoyBinary },
    jaeger: { jaeger: () => pathOf(jaegerBinary()) },
    'opentelemetry-collector-contrib': { otelcol: () => pathOf(otelcolBinary()) },
    prometheus: {},
  };
  await docker.run(`docker import '${dockerFolder}/bookworm.tar' stand-in/bookworm`, { timeoutMs: BUILD_MS });
  for (const [kind, files] of Object.entries(contents)) {
    const image =
      kind === 'debian' ? 'stand-in/debian' : images.find((name) => name.split(/[/:]/).includes(kind));
    if (image === undefined) throw new Error(`no image of ${kind} among ${images.join(', ')}`);
    const context = join(folder, kind);
    mkdirSync(context);
    for (const [name, source] of Object.entries(files)) copyFileSync(source(), join(context, name));
    const build = `docker build --quiet --tag '${image}' --file '${FILES}/${kind}.Dockerfile' '${context}'`;
    await docker.run(build, { timeoutMs: BUILD_MS });
  }
}
