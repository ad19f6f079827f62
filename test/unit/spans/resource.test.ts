import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { resourceOf } from '../../../src/spans/resource.ts';
import { makeHost, makeProxy } from '../../harness/kernel-records.ts';

const instance = (tgid: number, seed: string): unknown =>
  resourceOf(makeProxy({ tgid }), makeHost({ seed }), {}).attributes['service.instance.id'];

describe('the resource of a watched process', () => {
  test('is the process, on its host', () => {
    const proxy = makeProxy({ containerId: 'c'.repeat(64) });
    const { attributes } = resourceOf(proxy, makeHost({ hostId: 'abc' }), {});
    assert.equal(attributes['service.name'], 'edge');
    assert.equal(attributes['process.pid'], 100);
    assert.equal(attributes['process.executable.path'], '/usr/bin/envoy');
    assert.equal(attributes['container.id'], 'c'.repeat(64));
    assert.equal(attributes['host.name'], 'host');
    assert.equal('k8s.pod.uid' in attributes, false);
    const pod = { podUid: 'u', podName: 'edge-0', podNamespace: 'shop' };
    const inPod = resourceOf(makeProxy(pod), makeHost(), {}).attributes;
    assert.deepEqual(
      ['k8s.pod.uid', 'k8s.pod.name', 'k8s.namespace.name'].map((name) => inPod[name]),
      ['u', 'edge-0', 'shop'],
    );
    assert.equal(attributes['host.id'], 'abc');
    assert.equal(attributes['telemetry.distro.name'], 'hopspan');
  });

  test('leaves out what is not known', () => {
    const { attributes } = resourceOf(undefined, undefined, {});
    assert.deepEqual(Object.keys(attributes).toSorted(), [
      'service.name',
      'telemetry.distro.name',
      'telemetry.distro.version',
    ]);
    assert.equal('container.id' in resourceOf(makeProxy(), makeHost(), {}).attributes, false);
    assert.equal('host.id' in resourceOf(makeProxy(), makeHost(), {}).attributes, false);
  });

  test('what was configured yields to what was observed', () => {
    const extra = { 'deployment.environment.name': 'test', 'process.pid': 1, 'host.name': 'other' };
    const { attributes } = resourceOf(makeProxy(), makeHost(), extra);
    assert.equal(attributes['deployment.environment.name'], 'test');
    assert.equal(attributes['process.pid'], 100);
    assert.equal(attributes['host.name'], 'host');
  });

  test('the instance is a UUID, one per process and run', () => {
    const [a, b] = ['a'.repeat(32), 'b'.repeat(32)];
    assert.match(String(instance(1, a)), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(instance(1, a), instance(1, a));
    assert.equal(new Set([instance(1, a), instance(2, a), instance(1, b)]).size, 3);
  });
});
