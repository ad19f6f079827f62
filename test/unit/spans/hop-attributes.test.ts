import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Hop } from '../../../src/correlate/hop.ts';
import { SIDE_FLAGS, type SideRecord } from '../../../src/records.gen.ts';
import { hopAttributes, upstreamAttributes } from '../../../src/spans/hop-attributes.ts';
import { outcomeOf } from '../../../src/spans/outcome.ts';
import { timesOf } from '../../../src/spans/phases.ts';
import { downstreamRecord, hopOf, upstreamRecord } from '../../harness/side-record.ts';

const AF_INET6 = 10;
const { EXCHANGE, ENDED, PREEXISTING, SERVER_FIRST } = SIDE_FLAGS;

function onHop(fields: Partial<SideRecord>, parts: Partial<Hop> = {}) {
  const downstream = downstreamRecord({ flags: EXCHANGE, exchange: 1, ...fields });
  const hop = hopOf({ downstream, ...parts });
  return hopAttributes(hop, downstream, timesOf(hop), outcomeOf(hop));
}

function onUpstream(fields: Partial<SideRecord>, parts: Partial<Hop> = {}) {
  const upstream = upstreamRecord({ flags: EXCHANGE, exchange: 1, ...fields });
  const hop = hopOf({ upstream, ...parts });
  return upstreamAttributes(hop, upstream, outcomeOf(hop));
}

describe('who speaks with whom', () => {
  test('on the hop: the client, and the proxy as its server', () => {
    const attributes = onHop({ remotePort: 41_000 });
    assert.equal(attributes['network.type'], 'ipv4');
    assert.equal(attributes['client.address'], '127.0.0.1');
    assert.equal(attributes['client.port'], 41_000);
    assert.equal(attributes['network.peer.port'], 41_000);
    assert.equal(attributes['server.port'], 8000);
    assert.equal(attributes['network.local.port'], 8000);
  });

  test('on the upstream span: the upstream host, also as a peer service', () => {
    const attributes = onUpstream({});
    assert.equal(attributes['server.port'], 9000);
    assert.equal(attributes['peer.service'], '127.0.0.1:9000');
    assert.equal(attributes['service.peer.name'], '127.0.0.1:9000');
    const remoteAddr = Uint8Array.from({ length: 16 }, (_, at) => (at === 15 ? 1 : 0));
    assert.equal(onUpstream({ family: AF_INET6, remoteAddr })['peer.service'], '[::1]:9000');
  });
});

describe('the connection', () => {
  test('has the same id at both of its ends', () => {
    const client = { localIsn: 0x0a, remoteIsn: 0xb0000000 };
    const server = { localIsn: client.remoteIsn, remoteIsn: client.localIsn };
    assert.equal(onUpstream(client)['hopspan.connection.id'], '0000000ab0000000');
    assert.equal(onHop(server)['hopspan.connection.id'], '0000000ab0000000');
  });

  test('that is older than the probes has no id, and says so', () => {
    const attributes = onHop({ flags: EXCHANGE | PREEXISTING });
    assert.equal(attributes['hopspan.connection.preexisting'], true);
    assert.equal('hopspan.connection.id' in attributes, false);
    assert.equal('hopspan.connection.preexisting' in onHop({}), false);
  });

  test('that was never made has no id', () => {
    assert.equal('hopspan.connection.id' in onUpstream({ establishedNs: 0 }), false);
  });

  test('is reused from its second exchange on', () => {
    assert.equal(onHop({ exchange: 1 })['hopspan.connection.reused'], false);
    assert.equal(onHop({ exchange: 2 })['hopspan.connection.reused'], true);
  });
});

describe('the exchange', () => {
  test('has its bytes; a record without an exchange has none of its own', () => {
    const bytes = { bytesRead: 5, bytesWritten: 7 };
    const attributes = onHop(bytes);
    assert.deepEqual([attributes['hopspan.bytes.received'], attributes['hopspan.bytes.sent']], [5, 7]);
    assert.equal(onHop({ ...bytes, flags: ENDED })['hopspan.bytes.received'], 0);
  });

  test('says what is out of the ordinary, and nothing where nothing is', () => {
    const plain = onHop({});
    for (const name of ['overlapping', 'server_first'].map((word) => `hopspan.exchange.${word}`)) {
      assert.equal(name in plain, false, name);
    }
    assert.equal(onHop({}, { overlapping: true })['hopspan.exchange.overlapping'], true);
    assert.equal(onHop({ flags: EXCHANGE | SERVER_FIRST })['hopspan.exchange.server_first'], true);
    assert.equal('hopspan.pairing.ambiguous' in plain, false);
    assert.equal(onHop({}, { ambiguous: true })['hopspan.pairing.ambiguous'], true);
    assert.equal('hopspan.attempts' in plain, false);
    assert.equal(onHop({}, { attempts: [upstreamRecord()] })['hopspan.attempts'], 2);
  });

  test('has its phases in seconds', () => {
    const attributes = onHop({ establishedNs: 1e9, acceptedNs: 3e9, firstReadNs: 4e9, lastReadNs: 4e9 });
    assert.equal(attributes['hopspan.accept_wait.duration'], 2);
    assert.equal(attributes['hopspan.read_wait.duration'], 1);
    assert.equal('hopspan.connect.duration' in attributes, false);
  });

  test('says who closed only where it carries the end', () => {
    const fin = { finReceivedNs: 10, finSentNs: 20, firstWriteNs: 5, lastWriteNs: 5 };
    const ended = onHop(fin, { end: true });
    assert.deepEqual([ended['hopspan.close.by'], ended['hopspan.close.how']], ['client', 'fin']);
    assert.equal('hopspan.close.by' in onHop(fin), false);
  });

  test('has an error type only where its outcome is an error', () => {
    const attributes = onHop({ finReceivedNs: 10, finSentNs: 20 }, { end: true });
    assert.equal(attributes['error.type'], attributes['hopspan.outcome']);
    assert.equal('error.type' in onHop({}), false);
    assert.equal(onHop({})['hopspan.outcome'], 'ok');
  });
});

test("TCP's own figures, in seconds and segments", () => {
  const attributes = onHop({ srttUs: 1500, retransmits: 3, outOfOrder: 4 });
  assert.equal(attributes['hopspan.tcp.rtt'], 0.0015);
  assert.equal(attributes['hopspan.tcp.retransmits'], 3);
  assert.equal(attributes['hopspan.tcp.out_of_order'], 4);
  assert.equal(attributes['hopspan.worker'], 'wrk:worker_0');
  assert.equal('hopspan.worker' in onHop({ worker: '' }), false);
});
