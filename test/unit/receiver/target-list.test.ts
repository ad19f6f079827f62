import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Target } from '../../../src/config/types.ts';
import type { ProcessFacts } from '../../../src/receiver/processes.ts';
import { createTargetList, type TargetMaps } from '../../../src/receiver/target-list.ts';

const envoy: Target = { by: 'executable', executable: 'envoy' };
const nginx: Target = { by: 'executable', executable: 'nginx' };
const port: Target = { by: 'listen_port', listenPort: 8080 };
const named: Target = { ...port, serviceName: 'edge' };
const path: Target = { by: 'path', path: '/nowhere/envoy' };

/** What the kernel's maps hold, and what was done to them since the last look. */
function maps() {
  const names = new Map<string, number>();
  const ports = new Map<number, number>();
  const calls: string[] = [];
  const note = (call: string): void => void calls.push(call);
  const made: TargetMaps = {
    addName(name, index) {
      names.set(name, index);
      note(`+${name}`);
    },
    removeName(name) {
      names.delete(name);
      note(`-${name}`);
    },
    addPort(at, index) {
      ports.set(at, index);
      note(`+${at}`);
    },
    removePort(at) {
      ports.delete(at);
      note(`-${at}`);
    },
    addListenPort: (at) => note(`listen ${at}`),
  };
  const done = (): string[] => calls.splice(0);
  return { made, names, ports, done };
}

const process = (name: string, ports: readonly number[] = []): ProcessFacts => ({
  ...{ pid: 7, executable: { name, path: `/usr/bin/${name}` } },
  ...{ ports: () => ports, lineage: () => [7] },
});

test('the kernel is told what changes, and nothing else', () => {
  const list = createTargetList();
  const { made, names, ports, done } = maps();
  list.set([envoy, port], made);
  assert.deepEqual(done(), ['+envoy', '+8080', 'listen 8080']);
  list.set([envoy, port], made);
  assert.deepEqual(done(), []);
  list.set([port, nginx], made);
  assert.deepEqual(done(), ['-envoy', '+nginx']);
  list.set([nginx, named], made);
  assert.deepEqual(done(), ['+8080', 'listen 8080']);
  assert.deepEqual(
    [...names, ...ports],
    [
      ['nginx', 2],
      [8080, 3],
    ],
  );
});

test('a number belongs to one target for good', () => {
  const list = createTargetList();
  const { made } = maps();
  list.set([envoy, port], made);
  list.set([nginx], made);
  assert.deepEqual([0, 1, 2].map(list.isInForce), [false, false, true]);
  assert.deepEqual([0, 1, 2, 3].map(list.at), [envoy, port, nginx, undefined]);
  list.set([port], made);
  assert.deepEqual([0, 1, 2].map(list.isInForce), [false, true, false]);
  list.set([envoy, nginx, port], made);
  assert.equal(list.at(3), undefined, 'those that come back have their numbers');
});

test('the first target in the order of the file counts', () => {
  const list = createTargetList();
  const { made } = maps();
  list.set([envoy, port], made);
  assert.equal(list.find(process('envoy', [8080])), 0);
  assert.equal(list.find(process('other', [8080])), 1);
  assert.equal(list.find(process('other')), undefined);
  list.set([port, envoy], made);
  assert.equal(list.find(process('envoy', [8080])), 1);
});

test('of two targets with one basename the later one is what the kernel knows, and stays when the other goes', () => {
  const list = createTargetList();
  const { made, names, done } = maps();
  list.set([envoy, path], made);
  assert.deepEqual([...names], [['envoy', 1]]);
  done();
  list.set([envoy], made);
  assert.deepEqual([...names], [['envoy', 0]]);
  assert.deepEqual(done(), ['+envoy']);
});
