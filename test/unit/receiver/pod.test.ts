import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { podOf } from '../../../src/receiver/pod.ts';
import { temporaryFolder } from '../../harness/temporary-folder.ts';

const proc = temporaryFolder(after);
const UID = 'f8b3c1d2-0a1b-4c2d-8e3f-112233445566';
const CONTAINER = 'c'.repeat(64);
let nextPid = 1;

function podIn(cgroup: string, environment: Record<string, string> = {}) {
  const pid = nextPid++;
  mkdirSync(join(proc, String(pid)));
  writeFileSync(join(proc, String(pid), 'cgroup'), cgroup);
  const lines = Object.entries(environment).map(([name, value]) => `${name}=${value}\0`);
  writeFileSync(join(proc, String(pid), 'environ'), lines.join(''));
  return podOf(pid, proc);
}

describe('the pod of a process', () => {
  const CGROUPS: Record<string, string> = {
    cgroupfs: `0::/kubepods/burstable/pod${UID}/${CONTAINER}\n`,
    systemd: `0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${UID.replaceAll('-', '_')}.slice/cri-containerd-${CONTAINER}.scope\n`,
    'from inside another container': `0::/../../kubepods-pod${UID.replaceAll('-', '_')}.slice/cri-containerd-${CONTAINER}.scope\n`,
    'cgroup v1': `12:cpu:/kubepods/pod${UID}/${CONTAINER}\n11:memory:/kubepods/pod${UID}/${CONTAINER}\n`,
  };
  for (const [name, cgroup] of Object.entries(CGROUPS)) {
    test(`by its cgroup: ${name}`, () => assert.equal(podIn(cgroup).podUid, UID));
  }

  test('none outside of Kubernetes', () => {
    for (const cgroup of ['0::/\n', `0::/system.slice/docker-${CONTAINER}.scope\n`, `0::/pod${UID}\n`, '']) {
      const pod = podIn(cgroup, { POD_NAME: 'edge-0' });
      assert.deepEqual(pod, { podUid: '', podName: '', podNamespace: '' });
    }
    assert.equal(podOf(999_999, proc).podUid, '');
  });

  test('its names by what the environment says, OTEL_RESOURCE_ATTRIBUTES first', () => {
    const cgroup = CGROUPS.cgroupfs ?? '';
    const variables = { POD_NAME: 'edge-0', POD_NAMESPACE: 'shop', HOSTNAME: 'node-7' };
    assert.deepEqual(podIn(cgroup, variables), { podUid: UID, podName: 'edge-0', podNamespace: 'shop' });
    const attributes = {
      ...variables,
      OTEL_RESOURCE_ATTRIBUTES: 'a=b, k8s.pod.name=edge-1,k8s.namespace.name=pay',
    };
    assert.deepEqual(podIn(cgroup, attributes), { podUid: UID, podName: 'edge-1', podNamespace: 'pay' });
    const hostile = { POD_NAME: 'A secret', POD_NAMESPACE: `x${'y'.repeat(300)}` };
    assert.deepEqual(podIn(cgroup, hostile), { podUid: UID, podName: '', podNamespace: '' });
  });
});
