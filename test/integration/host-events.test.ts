import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { cgroup2Mount } from '../../src/receiver/cgroup.ts';
import { type FileEvent, hopsOf, malformed, type RunningHopspan, startHopspan } from '../harness/hopspan.ts';
import { createNetworkPair, type NetworkPair } from '../harness/network-pair.ts';
import { imposeStop, monotonicNs, stopLeftovers, until } from '../harness/process.ts';
import { type RunningProxy, startEnvoy } from '../harness/proxies.ts';
import { hasUnread, socketsText, tcpSockets } from '../harness/sockets.ts';
import { type Backend, type Client, startBackend, startClient } from '../harness/traffic.ts';

const NS_PER_S = 1e9;
const STOP_MS = 300;
const FROZEN = 'hopspan.host.process_frozen';
const KILLED = 'hopspan.host.process_killed';

after(stopLeftovers);

/** Sockets on that port that have something to read. */
const unreadAt = (port: number): number =>
  tcpSockets().filter(({ localPort, unreadBytes }) => localPort === port && unreadBytes > 0).length;

describe('a proxy that does not run', () => {
  let backend: Backend;
  let envoy: RunningProxy;
  let hopspan: RunningHopspan;
  let client: Client;

  beforeEach(async () => {
    backend = await startBackend();
    envoy = await startEnvoy({ listeners: [{ upstreamPort: backend.port }] });
    hopspan = await startHopspan({ targets: [`pid: ${envoy.pid}`] });
    client = await startClient({ port: envoy.port, exchanges: 3, holdAfter: 1 });
    await client.held;
  });
  afterEach(async () => {
    await envoy.stop();
    await backend.stop();
  });

  async function requestWaits(): Promise<void> {
    await client.go();
    await until('a request that waits', () => hasUnread(envoy.port), undefined, socketsText);
  }

  /** The events of the three exchanges, in their order. */
  async function eventsOfExchanges(): Promise<(readonly FileEvent[])[]> {
    const spans = await hopspan.finish();
    assert.deepEqual(malformed(spans), []);
    const { hops } = hopsOf(spans);
    const events = hops
      .toSorted((a, b) => Number(a.hop.startNs - b.hop.startNs))
      .map(({ hop }) => {
        for (const { timeNs } of hop.events) assert.ok(timeNs >= hop.startNs && timeNs <= hop.endNs);
        return hop.events;
      });
    const others = spans.filter(({ kind }) => kind !== 'SERVER').flatMap((span) => span.events);
    assert.deepEqual(others, []);
    return events;
  }

  function assertFrozen(events: readonly FileEvent[], inner: number, outer: number): void {
    assert.equal(events.length, 1);
    const { name, attributes = {} } = events[0] ?? {};
    assert.equal(name, FROZEN);
    const lasted = Number(attributes['hopspan.host.duration']) * NS_PER_S;
    assert.ok(lasted >= inner && lasted <= outer, `between ${inner} and ${outer}: ${lasted} ns`);
  }

  test('for it was stopped: the exchange under way says so, with the time that it took, and no other', async () => {
    const outerFromNs = monotonicNs();
    const { fromNs, toNs } = await imposeStop(envoy.pid, STOP_MS, requestWaits);
    const outerToNs = monotonicNs();
    await client.done;
    const [first, second, third] = await eventsOfExchanges();
    assert.deepEqual([first, third], [[], []]);
    assertFrozen(second ?? [], toNs - fromNs, outerToNs - outerFromNs);
    assert.equal(second?.[0]?.attributes['hopspan.host.freeze.by'], 'signal');
    assert.equal(second?.[0]?.attributes['hopspan.host.signal'], 'SIGSTOP');
  });

  test('for its cgroup was frozen: the same', async () => {
    const mount = cgroup2Mount();
    assert.ok(mount, 'this test needs cgroup v2');
    const own = join(mount, `hopspan-test-${process.pid}`);
    const home = join(
      mount,
      /^0::(.*)$/m.exec(readFileSync(`/proc/${envoy.pid}/cgroup`, 'utf8'))?.[1] ?? '/',
    );
    const isFrozen = (): boolean => /^frozen 1$/m.test(readFileSync(join(own, 'cgroup.events'), 'utf8'));
    mkdirSync(own);
    try {
      writeFileSync(join(own, 'cgroup.procs'), String(envoy.pid));
      const outerFromNs = monotonicNs();
      writeFileSync(join(own, 'cgroup.freeze'), '1');
      await until('the cgroup frozen', isFrozen);
      const innerFromNs = monotonicNs();
      await requestWaits();
      const innerToNs = monotonicNs();
      writeFileSync(join(own, 'cgroup.freeze'), '0');
      await until('the cgroup thawed', () => !isFrozen());
      const outerToNs = monotonicNs();
      await client.done;
      const [first, second, third] = await eventsOfExchanges();
      assert.deepEqual([first, third], [[], []]);
      assertFrozen(second ?? [], innerToNs - innerFromNs, outerToNs - outerFromNs);
      assert.equal(second?.[0]?.attributes['hopspan.host.freeze.by'], 'cgroup');
    } finally {
      writeFileSync(join(own, 'cgroup.freeze'), '0');
      writeFileSync(join(home, 'cgroup.procs'), String(envoy.pid));
      rmdirSync(own);
    }
  });

  test('for it was killed while it was stopped: both are said', async () => {
    const slow = await startClient({ port: envoy.port, thinkMs: 60_000 });
    await until('two requests at the backend', async () => (await backend.log()).length === 2);
    await imposeStop(envoy.pid, 0, () => envoy.kill('SIGKILL'));
    await slow.done;
    await client.stop();
    const [first, second] = await eventsOfExchanges();
    assert.deepEqual(first, []);
    assert.deepEqual(
      second?.map(({ name }) => name),
      [FROZEN, KILLED],
    );
    assert.deepEqual(second?.[1]?.attributes, { 'hopspan.host.signal': 'SIGKILL' });
  });
});

describe('the network', () => {
  let pair: NetworkPair;
  let backend: Backend;
  let envoy: RunningProxy;
  let hopspan: RunningHopspan;
  let clients: Client[];

  beforeEach(async () => {
    pair = createNetworkPair();
    backend = await startBackend();
    envoy = await startEnvoy({
      listeners: [pair.nearAddress, '127.0.0.1'].map((host) => ({ host, upstreamPort: backend.port })),
    });
    hopspan = await startHopspan({ targets: [`pid: ${envoy.pid}`] });
    clients = await Promise.all(
      envoy.listeners.map(({ host, port }, at) =>
        startClient({ host, port, exchanges: 3, holdAfter: 1 }, at === 0 ? pair.launcher : []),
      ),
    );
    await Promise.all(clients.map(({ held }) => held));
  });
  afterEach(async () => {
    await envoy.stop();
    await backend.stop();
    pair.remove();
  });

  /**
   * Lets `change` happen while a request over the pair and one over the loopback interface wait for the backend; returns
   * the events of the hop over the pair, since no other span may have any, and how long the change took.
   */
  async function eventsOf(
    change: () => Promise<void> | void,
  ): Promise<{ events: readonly FileEvent[]; ns: number }> {
    let ns = 0;
    await imposeStop(backend.pid, 0, async () => {
      await Promise.all(clients.map((client) => client.go()));
      await until('two requests at the backend', () => unreadAt(backend.port) === 2, undefined, socketsText);
      const fromNs = monotonicNs();
      await change();
      ns = monotonicNs() - fromNs;
    });
    await Promise.all(clients.map(({ done }) => done));
    const spans = await hopspan.finish();
    assert.deepEqual(malformed(spans), []);
    const carriers = spans.filter(({ events }) => events.length > 0);
    const [{ kind = '', attributes = {}, events = [] } = {}, ...more] = carriers;
    assert.deepEqual(more, []);
    assert.equal(kind, 'SERVER');
    assert.equal(attributes['network.local.address'], pair.nearAddress);
    assert.equal(attributes['hopspan.exchange.number'], 2);
    return { events, ns };
  }

  const hasCarrier = (): boolean =>
    readFileSync(`/sys/class/net/${pair.near}/operstate`, 'latin1').trim() === 'up';
  const namesOf = (events: readonly FileEvent[]): string[] =>
    events.map(({ name }) => name.replace('hopspan.host.', ''));

  /** `link_down` for a time within `ns`, and `link_up`. */
  function assertDownAndUp(events: readonly FileEvent[], by: string, ns: number): void {
    const attributes = { 'network.interface.name': pair.near, 'hopspan.host.link.by': by };
    const [down, up] = events;
    const { 'hopspan.host.duration': duration, ...rest } = down?.attributes ?? {};
    assert.deepEqual([rest, up?.attributes], [attributes, attributes]);
    const lasted = Number(duration) * NS_PER_S;
    assert.ok(lasted > 0 && lasted <= ns, `within ${ns}: ${lasted} ns`);
    const apart = Number((up?.timeNs ?? 0n) - (down?.timeNs ?? 0n));
    assert.ok(Math.abs(apart - lasted) <= 1000, `${apart} ns apart, lasted ${lasted}`); // in doubles
  }

  test('an interface that lost its carrier: only who came over it says so', async () => {
    const { events, ns } = await eventsOf(async () => {
      pair.farIp('link', 'set', pair.far, 'down');
      await until('no carrier', () => !hasCarrier());
      pair.farIp('link', 'set', pair.far, 'up');
      await until('a carrier', hasCarrier);
    });
    assert.deepEqual(namesOf(events), ['link_down', 'link_up']);
    assertDownAndUp(events, 'carrier', ns);
  });

  test('an interface that was switched off, and with it its route', async () => {
    const { events, ns } = await eventsOf(async () => {
      pair.ip('link', 'set', pair.near, 'down');
      pair.ip('link', 'set', pair.near, 'up');
      await until('a carrier', hasCarrier);
    });
    assert.deepEqual(namesOf(events).toSorted(), ['link_down', 'link_up', 'route_added']);
    assertDownAndUp(
      events.filter(({ name }) => name.includes('link')),
      'administrator',
      ns,
    );
  });

  test('addresses, routes and the MTU, where they are those of the connection', async () => {
    const { events } = await eventsOf(() => {
      pair.ip('address', 'add', '203.0.113.7/32', 'dev', pair.near);
      pair.ip('route', 'add', '203.0.113.128/25', 'via', pair.farAddress);
      pair.ip('link', 'set', pair.near, 'mtu', '1400');
      pair.ip('route', 'add', pair.farAddress, 'dev', pair.near);
      pair.ip('route', 'replace', pair.farAddress, 'dev', pair.near, 'mtu', '1300');
      pair.ip('route', 'del', pair.farAddress);
      pair.ip('route', 'add', '198.18.0.0/15', 'via', pair.farAddress);
      pair.ip('address', 'del', `${pair.nearAddress}/30`, 'dev', pair.near);
      pair.ip('address', 'add', `${pair.nearAddress}/30`, 'dev', pair.near);
    });
    const own = { 'network.interface.name': pair.near };
    const network = `${pair.nearAddress.replace(/\d+$/, (last) => String(Number(last) - 1))}/30`;
    assert.deepEqual(
      events.map(({ name, attributes }) => [name.replace('hopspan.host.', ''), attributes]),
      [
        ['mtu_changed', { ...own, 'hopspan.host.mtu': 1400, 'hopspan.host.mtu.before': 1500 }],
        ['route_added', { ...own, 'hopspan.host.route': `${pair.farAddress}/32` }],
        ['route_replaced', { ...own, 'hopspan.host.route': `${pair.farAddress}/32` }],
        ['route_removed', { ...own, 'hopspan.host.route': `${pair.farAddress}/32` }],
        [
          'route_added',
          { ...own, 'hopspan.host.route': '198.18.0.0/15', 'hopspan.host.gateway': pair.farAddress },
        ],
        ['address_removed', { ...own, 'hopspan.host.address': `${pair.nearAddress}/30` }],
        ['route_removed', { ...own, 'hopspan.host.route': network }],
        ['address_added', { ...own, 'hopspan.host.address': `${pair.nearAddress}/30` }],
        ['route_added', { ...own, 'hopspan.host.route': network }],
      ],
    );
  });
});
