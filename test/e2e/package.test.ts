import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Child, startChild, stopLeftovers } from '../harness/process.ts';
import { startEnvoy } from '../harness/proxies.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import { runClient, startBackend } from '../harness/traffic.ts';

after(stopLeftovers);

const REPOSITORY = new URL('../../', import.meta.url).pathname;
/** All that a machine needs beside the package, for installing and for running. */
const TOOLS = ['dirname', 'env', 'node', 'npm', 'readlink', 'sh', 'uname'];
const COMPILERS = ['c++', 'cc', 'clang', 'cmake', 'g++', 'gcc', 'make', 'python3'];
const MAX_PACKED_BYTES = 1_000_000;
const MAX_UNPACKED_BYTES = 3_000_000;
const INSTALL_MS = 300_000;

/** A root file system with libbpf and no more (scripts/clean-root.sh); else this machine's, with a PATH of few tools. */
const CLEAN_ROOT = process.env.HOPSPAN_CLEAN_ROOT;

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

describe('the npm package', () => {
  const folder = temporaryFolder(after);
  const path = join(folder, 'bin');
  const prefix = CLEAN_ROOT === undefined ? join(folder, 'prefix') : join(CLEAN_ROOT, 'opt/hopspan');
  let packed: Packed;

  before(() => {
    const args = ['pack', '--json', '--pack-destination', folder];
    /* As it is built; "make pack" builds it anew. */
    const text = execFileSync('npm', args, {
      cwd: REPOSITORY,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    packed = (JSON.parse(text) as [Packed])[0];
    mkdirSync(path);
    for (const tool of TOOLS) {
      const found = execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim();
      symlinkSync(tool === 'node' ? process.execPath : found, join(path, tool));
    }
    rmSync(prefix, { recursive: true, force: true });
    execFileSync('npm', ['install', '--global', '--prefix', prefix, join(folder, packed.filename)], {
      cwd: folder,
      env: { ...process.env, PATH: path },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: INSTALL_MS,
    });
  });

  /** The installed command, where nothing can compile. */
  function hopspan(...args: string[]): Promise<Child> {
    if (CLEAN_ROOT === undefined)
      return startChild('env', ['-i', `PATH=${path}`, join(prefix, 'bin/hopspan'), ...args]);
    const enter = `
      for each in proc sys dev; do mount --rbind "/$each" "$0/$each"; done
      exec chroot "$0" /usr/bin/env -i PATH=/usr/bin:/bin /opt/hopspan/bin/hopspan "$@"`;
    return startChild('unshare', ['--mount', 'sh', '-c', enter, CLEAN_ROOT, ...args]);
  }

  it('has what runs, what a user copies and reads, and the licences', () => {
    const files = packed.files.map((each) => each.path);
    for (const needed of [
      ...['LICENSE', 'LICENSES/Apache-2.0.txt', 'LICENSES/GPL-2.0.txt', 'THIRD_PARTY.md', 'CHANGELOG.md'],
      ...['README.md', 'package.json', 'bin/hopspan', 'dist/src/cli/main.js', 'dist/src/index.d.ts'],
      ...['dist/bpf/hopspan.bpf.o', 'bpf/hopspan.bpf.c', 'docs/privileges.md', 'otel-config/hopspan.yaml'],
      ...['deploy/systemd/hopspan.service', 'deploy/kubernetes/daemonset.yaml'],
    ])
      assert.ok(files.includes(needed), needed);
    const strangers = files.filter((file) =>
      /(?:^|\/)(?:test|scripts|demo|src|node_modules|\.[^/]+)\//.test(file),
    );
    assert.deepEqual(
      strangers.filter((file) => !file.startsWith('dist/src/')),
      [],
    );
    assert.deepEqual(
      files.filter((file) => /(?<!\.d)\.ts$|\.map$|\.tgz$|\.test\.|\.gen\.ts$/.test(file)),
      [],
    );
    assert.ok(packed.size < MAX_PACKED_BYTES, `${packed.size} bytes packed`);
    assert.ok(packed.unpackedSize < MAX_UNPACKED_BYTES, `${packed.unpackedSize} bytes unpacked`);
  });

  it('is installed without a compiler, outside of the repository', () => {
    const where =
      CLEAN_ROOT === undefined ? [path] : ['usr/bin', 'usr/sbin'].map((each) => join(CLEAN_ROOT, each));
    for (const tool of COMPILERS)
      for (const each of where)
        assert.throws(() => readlinkSync(join(each, tool)), { code: 'ENOENT' }, `${each}/${tool}`);
    assert.ok(!prefix.startsWith(join(REPOSITORY, 'dist')));
  });

  it('says its version', async () => {
    const child = await hopspan('--version');
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr());
    assert.match(child.stdout(), /^\d+\.\d+\.\d+\n$/);
  });

  it('finds with doctor that it can watch, by its own probes', async () => {
    const child = await hopspan('doctor', '--listen-port', '54321');
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stdout());
    assert.match(child.stdout(), /\nhopspan can watch here\.\n$/);
    const own = CLEAN_ROOT === undefined ? prefix : '/opt/hopspan';
    assert.ok(
      child.stdout().includes(`${own}/lib/node_modules/hopspan/dist/bpf/hopspan.bpf.o`),
      child.stdout(),
    );
  });

  it('watches a hop through Envoy', async (t) => {
    const backend = await startBackend();
    t.after(() => backend.stop());
    const envoy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
    t.after(() => envoy.stop());
    const child = await hopspan('watch', '--listen-port', String(envoy.port));
    await child.line(/ready/);
    await runClient({ port: envoy.port, connections: 1, exchanges: 1 });
    await child.line(new RegExp(`tcp proxy :${envoy.port} .* paired by buffer`));
    assert.deepEqual(await child.stop('SIGTERM', 20_000), { code: 0, signal: null }, child.stderr());
  });
});
