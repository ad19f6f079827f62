import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parse } from 'yaml';
import { COMPOSE_FILE, commandsOf, tourServices, writeOverride } from '../harness/compose-tour.ts';
import { type Docker, dockerFolder, startDocker } from '../harness/docker.ts';
import { stopLeftovers, until } from '../harness/process.ts';
import { makeStandIns } from '../harness/stand-ins.ts';

after(stopLeftovers);

const BUILD_MS = 480_000;
const WAIT_MS = 120_000;
const SHIPPED = 'LICENSE LICENSES THIRD_PARTY.md bin dist node_modules package.json proto';
/** include/uapi/linux/capability.h */
const CAPABILITIES: Readonly<Record<string, bigint>> = {
  DAC_READ_SEARCH: 2n,
  SETGID: 6n,
  SETUID: 7n,
  NET_ADMIN: 12n,
  SYS_PTRACE: 19n,
  PERFMON: 38n,
  BPF: 39n,
};
const WATERFALL = [
  'shop-client | GET /orders/{id}',
  'edge | GET',
  'edge | read wait',
  'edge | forward',
  'edge | GET',
  'edge | upstream wait',
  'shop-backend | GET /orders/{id}',
  'shop-backend | query',
  'edge | answer read wait',
  'edge | answer forward',
];
const DEPENDENCIES = `curl -s "http://localhost:16686/api/dependencies?endTs=$(date -d +10sec +%s)000&lookback=3600000"`;

interface DaemonSet {
  readonly spec: {
    readonly template: { readonly spec: { readonly containers: readonly DaemonContainer[] } };
  };
}
interface DaemonContainer {
  readonly command?: readonly string[];
  readonly securityContext: { readonly capabilities: { readonly add: readonly string[] } };
}

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
const mask = (names: readonly string[]): bigint =>
  names.reduce((sum, name) => sum | (1n << (CAPABILITIES[name] ?? 0n)), 0n);

const found = dockerFolder();
const skip = 'missing' in found ? `no Docker on this machine: ${found.missing}` : false;

describe('docs/quickstart.md, by its own commands in a Docker engine', { skip }, () => {
  const services = tourServices();
  const command = commandsOf('docs/quickstart.md');
  const cleanUp: (() => void | Promise<void>)[] = [];
  let docker: Docker;
  let env = {};
  const run = async (text: string, timeoutMs = WAIT_MS): Promise<string> =>
    (await docker.run(text, { env, timeoutMs })).stdout;

  before(async () => {
    if ('missing' in found) return;
    /* runc takes no path with links in it. */
    const state = mkdtempSync(join(realpathSync(found.path), 'state-'));
    cleanUp.push(() => rmSync(state, { recursive: true, force: true }));
    docker = await startDocker(found.path, state);
    cleanUp.push(docker.stop);
    const [images, tour] = [join(state, 'images'), join(state, 'tour')];
    mkdirSync(images);
    mkdirSync(tour);
    const names = Object.values(services).map(({ image }) => image);
    await makeStandIns(docker, found.path, images, [...names, 'node:24-bookworm-slim']);
    env = { COMPOSE_FILE: `${COMPOSE_FILE}:${writeOverride(tour)}` };
  });
  after(async () => {
    for (const each of cleanUp.toReversed()) await each();
  });

  it('starts, and everything is healthy', async () => {
    await run(command('docker compose up'), BUILD_MS);
    const states = await run("docker compose ps --all --format '{{.Service}} {{.State}} {{.Health}}'");
    const expected = Object.entries(services).map(([name, { healthcheck }]) => {
      return `${name} running ${healthcheck ? 'healthy' : ''}`;
    });
    assert.deepEqual(lines(states).toSorted(), expected.toSorted());
  });

  it("has hopspan's log and doctor as the page says", async () => {
    const [logs = '', doctor = ''] = lines(command('docker compose logs'));
    const said = lines(await run(`${logs} --no-log-prefix`));
    assert.ok(said.some((line) => line.includes('hopspan: ready ')));
    const warnings = said.filter((line) => /warning|error/.test(line));
    assert.equal(warnings.length, 1, warnings.join('\n'));
    assert.match(warnings[0] ?? '', /can send spans/);
    const findings = await run(doctor);
    assert.match(findings, /^ok +cgroup v2 .*the whole hierarchy$/m);
    assert.match(findings, /^hopspan can watch here\.$/m);
  });

  it('runs hopspan with the capabilities of the file, a read-only root and no way to more', async () => {
    const pid = await run('docker inspect --format {{.State.Pid}} $(docker compose ps --quiet hopspan)');
    const status = readFileSync(`/proc/${pid.trim()}/status`, 'utf8');
    const bounds = BigInt(`0x${/^CapBnd:\s*(\w+)$/m.exec(status)?.[1]}`);
    assert.equal(bounds & ~mask(services.hopspan?.cap_add ?? []), 0n);
    assert.match(status, /^NoNewPrivs:\s*1$/m);
    const touch = 'docker compose exec -T hopspan touch /usr/lib/hopspan/x';
    await assert.rejects(run(touch), /Read-only file system/);
  });

  it('ships no compiler, no sources, no tests and no packages that only building needs', async () => {
    const inside = (text: string): Promise<string> =>
      run(`docker run --rm --entrypoint sh hopspan:local -c '${text}'`);
    assert.deepEqual(lines(await inside('ls')), SHIPPED.split(' '));
    const tools = 'clang llvm-strip gcc cc make bpftool tsc biome';
    assert.equal(await inside(`for each in ${tools}; do command -v $each; done; true`), '');
    assert.equal(await inside('find dist proto bin -name "*.ts" ! -name "*.d.ts" -o -name "*.test.*"'), '');
    assert.equal(
      await inside('find node_modules -maxdepth 2 -name "typescript*" -o -name "node-linux*"'),
      '',
    );
    const { version } = JSON.parse(read('package.json')) as { version: string };
    assert.equal((await run('docker run --rm hopspan:local --version')).trim(), version);
  });

  it('tells what a container without rights lacks', async () => {
    const { stdout } = await docker.run('docker run --rm hopspan:local doctor', { codes: [3] });
    assert.match(stdout, /^fail +rights .*lacks CAP_BPF.*CAP_PERFMON/m);
    assert.match(stdout, /container's part of the hierarchy/);
    assert.match(stdout, /^hopspan cannot watch here: rights, probes\.$/m);
  });

  it('can watch with what the DaemonSet gives it', async () => {
    const { spec } = (parse(read('deploy/kubernetes/daemonset.yaml')) as DaemonSet).spec.template;
    const [container] = spec.containers;
    const [entrypoint = '', ...rest] = container?.command ?? ['hopspan'];
    const add = container?.securityContext.capabilities.add.map((name) => `--cap-add ${name}`) ?? [];
    const rights = `--cap-drop ALL ${add.join(' ')} --security-opt no-new-privileges --read-only --tmpfs /tmp`;
    const host = '--pid host --cgroupns private --volume /sys/fs/cgroup:/sys/fs/cgroup:ro';
    const image = `--entrypoint ${entrypoint} hopspan:local ${rest.join(' ')}`;
    const findings = await run(`docker run --rm ${rights} ${host} ${image} doctor`);
    assert.match(findings, /^ok +cgroup v2 .*the whole hierarchy$/m);
    assert.match(findings, /^hopspan can watch here\.$/m);
  });

  it('shows the waterfall and the service graph in Jaeger', async () => {
    const show = command('/api/traces');
    await until(
      'a whole waterfall',
      async () => {
        const shown = lines(await run(show).catch(() => ''));
        const steps = shown.map((line) => line.replace(/ \| \d+ µs$/, ''));
        return steps.toSorted().join('\n') === WATERFALL.toSorted().join('\n');
      },
      WAIT_MS,
    );
    const { data } = JSON.parse(await run(DEPENDENCIES)) as { data: { parent: string; child: string }[] };
    /* Jaeger counts a service's inner spans as calls to itself. */
    const calls = data.filter(({ parent, child }) => parent !== child);
    assert.deepEqual(calls.map(({ parent, child }) => `${parent} → ${child}`).toSorted(), [
      'edge → shop-backend',
      'shop-client → edge',
    ]);
  });

  it('makes a page of what it records', async () => {
    const page = await run(command('hopspan record').replace(' 60 ', ' 5 ').replace(' > slow.html', ''));
    assert.match(page, /<h1>[^<]*slow\.hsrec/);
    assert.match(page, /edge/);
  });

  it('alerts while the backend is paused, and is quiet again afterwards', async () => {
    const firing = async (): Promise<string[]> =>
      lines(await run(command('/api/v1/alerts'))).filter((line) => line.startsWith('firing'));
    const expected = [/Clients leave .* of the requests through edge/, /hops through edge takes longer than/];
    await run(command('docker compose pause'));
    await until(
      'the alerts to fire',
      async () => {
        const alerts = await firing();
        return expected.every((alert) => alerts.some((line) => alert.test(line)));
      },
      WAIT_MS,
    );
    await run(command('docker compose unpause'));
    await until(
      'the alerts to clear',
      async () => (await firing()).every((line) => !line.includes('edge')),
      WAIT_MS,
    );
  });

  it('stops, and leaves nothing', async () => {
    await run(command('docker compose down'));
    assert.equal(await run('docker ps --all --quiet; docker volume ls --quiet'), '');
    assert.doesNotMatch(await run('docker network ls --format {{.Name}}'), /hopspan/);
  });
});
