import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { parseConfig } from '../../../src/config/load.ts';
import { launcherOf, leastCapabilities, pathOf, read, readYaml, setprivOf, TO_CHANGE_USER } from './files.ts';

const FOLDER = 'deploy/kubernetes';

interface Probe {
  readonly exec: { readonly command: readonly string[] };
}
interface Container {
  readonly command: readonly string[];
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly volumeMounts: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
  }[];
  readonly securityContext: {
    readonly privileged: boolean;
    readonly allowPrivilegeEscalation: boolean;
    readonly readOnlyRootFilesystem: boolean;
    readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] };
  };
}
interface DaemonSet {
  readonly kind: string;
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly hostPID: boolean;
        readonly hostNetwork?: boolean;
        readonly hostIPC?: boolean;
        readonly serviceAccountName: string;
        readonly automountServiceAccountToken: boolean;
        readonly containers: readonly Container[];
        readonly initContainers: readonly Pick<Container, 'command' | 'securityContext' | 'volumeMounts'>[];
        readonly volumes: readonly { readonly name: string; readonly hostPath?: { readonly path: string } }[];
      };
    };
  };
}

const pod = readYaml<DaemonSet>(`${FOLDER}/daemonset.yaml`).spec.template.spec;
const [container] = pod.containers;

describe('the DaemonSet', () => {
  it('has the least capabilities, a read-only root, no token, and of the host only its process ids, cgroups and a place for the queue', () => {
    const add = [...leastCapabilities(), ...TO_CHANGE_USER];
    assert.deepEqual(container?.securityContext.capabilities, { drop: ['ALL'], add });
    assert.deepEqual(launcherOf(container.command), setprivOf(leastCapabilities()));
    const { privileged, allowPrivilegeEscalation, readOnlyRootFilesystem } = container.securityContext;
    assert.deepEqual([privileged, allowPrivilegeEscalation, readOnlyRootFilesystem], [false, false, true]);
    assert.deepEqual([pod.hostPID, pod.hostNetwork, pod.hostIPC], [true, undefined, undefined]);
    assert.equal(pod.automountServiceAccountToken, false);
    const shared = pod.volumes.flatMap(({ hostPath }) => (hostPath ? [hostPath.path] : []));
    assert.deepEqual(shared, ['/sys/fs/cgroup', '/var/lib/hopspan']);
  });

  it('mounts volumes that it has, and all that is not its own read-only', () => {
    const mounts = container?.volumeMounts ?? [];
    assert.deepEqual(
      mounts.map(({ name }) => name).toSorted(),
      pod.volumes.map(({ name }) => name).toSorted(),
    );
    for (const { name, readOnly } of mounts)
      assert.equal(readOnly, ['queue', 'tmp'].includes(name) ? undefined : true, name);
  });

  it('starts with the file of the ConfigMap, which the loader takes without a word', () => {
    const { configMapGenerator } = readYaml<{ configMapGenerator: { name: string; files: string[] }[] }>(
      `${FOLDER}/kustomization.yaml`,
    );
    assert.deepEqual(configMapGenerator, [{ name: 'hopspan', files: ['hopspan.yaml'] }]);
    const at = container?.volumeMounts.find(({ name }) => name === 'config')?.mountPath;
    assert.deepEqual(container?.args, ['run', '--config', `${at}/hopspan.yaml`]);
    const env = Object.fromEntries(container?.env.map(({ name, value }) => [name, value ?? 'x']) ?? []);
    for (const variables of [{}, env]) {
      const { warnings } = parseConfig(read(`${FOLDER}/hopspan.yaml`), 'hopspan.yaml', variables);
      assert.deepEqual(warnings, []);
    }
  });
});

describe("the DaemonSet's probes and what comes before it", () => {
  it('gives the queue to the user that hopspan runs as, and can do nothing else', () => {
    const [queue, ...more] = pod.initContainers;
    assert.equal(more.length, 0);
    const user = container?.command.find((each) => each.startsWith('--reuid='))?.split('=')[1];
    assert.deepEqual(queue?.command, ['chown', `${user}:${user}`, '/var/lib/hopspan']);
    assert.deepEqual(queue.securityContext.capabilities, { drop: ['ALL'], add: ['CHOWN'] });
    assert.deepEqual(
      queue.volumeMounts.map(({ name }) => name),
      ['queue'],
    );
  });

  it('ask from inside, where the configuration lets health be answered', () => {
    const { config } = parseConfig(read(`${FOLDER}/hopspan.yaml`), 'hopspan.yaml', {});
    assert.deepEqual(config.healthCheck?.listen, { host: '127.0.0.1', port: 13_133 });
    const probes = [container?.startupProbe, container?.readinessProbe, container?.livenessProbe];
    const urls = probes.map((probe) => /http:[^']+/.exec(probe?.exec.command.join(' ') ?? '')?.[0]);
    const at = 'http://127.0.0.1:13133';
    assert.deepEqual(urls, [`${at}/readyz`, `${at}/readyz`, `${at}/healthz`]);
  });
});

describe('the kustomization', () => {
  it('lists files that are there', () => {
    const { resources } = readYaml<{ resources: string[] }>(`${FOLDER}/kustomization.yaml`);
    for (const file of resources) assert.ok(existsSync(pathOf(`${FOLDER}/${file}`)), file);
  });

  const { status } = spawnSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
  const skip = status === 0 ? false : 'no kubectl on this machine';
  it('is built by kubectl into four objects of one namespace', { skip }, () => {
    const built = spawnSync('kubectl', ['kustomize', pathOf(FOLDER)], { encoding: 'utf8' });
    assert.equal(built.status, 0, built.stderr);
    const objects = parseAllDocuments(built.stdout).map((each) => each.toJS() as { kind: string });
    const kinds = objects.map(({ kind }) => kind).toSorted();
    assert.deepEqual(kinds, ['ConfigMap', 'DaemonSet', 'Namespace', 'ServiceAccount']);
    assert.doesNotMatch(built.stdout, /image: hopspan$/m);
  });
});
