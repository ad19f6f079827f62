import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseConfig } from '../../../src/config/load.ts';
import { launcherOf, leastCapabilities, pathOf, read, readYaml, setprivOf, TO_CHANGE_USER } from './files.ts';

interface ComposeService {
  readonly image: string;
  readonly build?: { readonly context: string; readonly target?: string };
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly environment?: Readonly<Record<string, string>>;
  readonly cap_add?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly read_only?: boolean;
  readonly privileged?: boolean;
  readonly pid?: string;
  readonly cgroup?: string;
}
const FILE = 'docker-compose.yml';
const compose = readYaml<{ services: Record<string, ComposeService>; volumes: Record<string, null> }>(FILE);
const services = Object.entries(compose.services);

/** Keys of a service in the Compose specification, as far as they are used: one that is misspelt is not among them. */
const KEYS = new Set(
  'build cap_add cap_drop cgroup command depends_on entrypoint environment healthcheck image init pid ports read_only restart security_opt stop_grace_period tmpfs user volumes'.split(
    ' ',
  ),
);

describe(FILE, () => {
  it('has everything of the tour', () => {
    const names = 'backends collector envoy grafana hopspan jaeger prometheus shop-backend shop-client tempo';
    assert.deepEqual(Object.keys(compose.services).toSorted(), names.split(' '));
  });

  for (const [name, service] of services) {
    it(`${name}: known keys, a pinned image, ports on loopback, files that are there`, () => {
      for (const key of Object.keys(service)) assert.ok(KEYS.has(key), key);
      const built = services.filter(([, { image, build }]) => build && image === service.image);
      assert.match(service.image, built.length === 0 ? /:v?\d+\.\d+\.\d+$/ : /:local$/);
      assert.ok(
        built.length < 2,
        `${service.image} is built once, or the last one to be built gets the name`,
      );
      for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/);
      for (const volume of service.volumes ?? []) {
        const [from = '', , mode] = volume.split(':');
        if (!from.startsWith('.')) assert.ok(from in compose.volumes, from);
        else {
          assert.ok(existsSync(pathOf(from)), from);
          assert.equal(mode, 'ro', from);
        }
      }
      if (service.build?.target)
        assert.match(read('Dockerfile'), new RegExp(`AS ${service.build.target}$`, 'm'));
    });
  }

  it('waits only for the health of what tells it', () => {
    for (const [name, { depends_on = {} }] of services) {
      for (const [other, { condition }] of Object.entries(depends_on)) {
        const health = compose.services[other]?.healthcheck;
        assert.ok(compose.services[other], `${name} waits for ${other}`);
        if (condition === 'service_healthy')
          assert.ok(health?.test, `${name} waits for the health of ${other}`);
      }
    }
  });

  it('checks the health of all but the client: by itself, or `backends` does', () => {
    const asked = compose.services.backends?.healthcheck?.test?.join(' ') ?? '';
    for (const [name, { healthcheck }] of services) {
      if (name === 'shop-client') continue;
      assert.ok(healthcheck ? healthcheck.test : asked.includes(`//${name}:`), name);
    }
  });

  /* docker/compose issue 13522 */
  it('disables no health check, or `docker compose up --wait` ends with an error', () => {
    for (const [name, { healthcheck }] of services)
      assert.ok(!healthcheck || !('disable' in healthcheck), name);
  });

  it('asks hopspan where it answers', () => {
    const path = 'deploy/compose/hopspan.yaml';
    const { host, port } = parseConfig(read(path), path, {}).config.healthCheck?.listen ?? {};
    const asked = compose.services.hopspan?.healthcheck?.test.join(' ') ?? '';
    assert.ok(asked.includes(`'http://${host}:${port}/readyz'`), asked);
  });

  it('names hosts that are services', () => {
    const files = [FILE, 'deploy/compose/hopspan.yaml', 'deploy/compose/envoy.yaml'];
    const more = ['collector.yaml', 'tempo.yaml', 'prometheus/prometheus.yml'].map(
      (name) => `otel-config/${name}`,
    );
    const provisioned = 'otel-config/grafana/provisioning/datasources/hopspan.yaml';
    for (const file of [...files, ...more, provisioned]) {
      const text = read(file).replace(/#.*$/gm, '');
      const hosts = text.matchAll(
        /(?:https?:\/\/|targets: \[|:-|_ENDPOINT: |address: )([a-z][a-z-]*)(?=[:,/])/g,
      );
      for (const [, host = ''] of hosts)
        assert.ok(['http', 'https', ...Object.keys(compose.services)].includes(host), `${file}: ${host}`);
    }
  });

  it('gives hopspan the least: capabilities, a read-only root, the host by its process ids and cgroups only', () => {
    const { hopspan } = compose.services;
    assert.deepEqual(hopspan?.cap_drop, ['ALL']);
    assert.deepEqual(hopspan?.cap_add, [...leastCapabilities(), ...TO_CHANGE_USER]);
    assert.deepEqual(launcherOf(hopspan.entrypoint), setprivOf(leastCapabilities()));
    assert.ok(hopspan?.security_opt?.includes('no-new-privileges:true'));
    assert.deepEqual([hopspan?.read_only, hopspan?.privileged], [true, undefined]);
    assert.deepEqual([hopspan?.pid, hopspan?.cgroup], ['host', 'host']);
  });

  it("has a configuration that hopspan's own loader takes; nothing but the open receiver is remarked", () => {
    const path = 'deploy/compose/hopspan.yaml';
    const { config, warnings } = parseConfig(read(path), path, compose.services.hopspan?.environment ?? {});
    // Open inside the tour's own network, from which no port is published.
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /anybody who can reach 0\.0\.0\.0 can send spans/);
    assert.equal(compose.services.hopspan?.ports, undefined);
    assert.deepEqual(config.pipelines[0]?.processors, ['hop_parent']);
    assert.equal(config.telemetry.metricsLevel, 'normal');
  });
});

describe('Dockerfile', () => {
  const text = read('Dockerfile');
  const copied = [...text.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, from = '']) =>
    from.split(' '),
  );

  it('copies what is there and what .dockerignore lets in', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'));
    assert.ok(copied.length > 5);
    for (const file of copied) {
      assert.ok(existsSync(pathOf(file)), file);
      assert.ok(allowed.includes(`!${file}`) || allowed.includes(`!${file}/`), `.dockerignore: ${file}`);
    }
    const used = new Set(copied);
    for (const line of allowed) assert.ok(used.has(line.slice(1).replace(/\/$/, '')), `not copied: ${line}`);
  });

  it('installs no compiler in the image that is shipped, and starts from a pinned one', () => {
    const last = text.slice(text.lastIndexOf('\nFROM '));
    assert.match(last, /libbpf1/);
    assert.doesNotMatch(last, /clang|llvm|libbpf-dev|npm ci/);
    for (const [, image = ''] of text.matchAll(/^FROM (\S+)/gm))
      assert.match(image, /^(node:24-bookworm-slim|build)$/);
  });
});
