import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createPair, type PairedExchange } from '../../../src/correlate/pair.ts';
import { SIDE_FLAGS, type SideRecord } from '../../../src/records.gen.ts';
import { type Probed, pairUp, probed } from '../../harness/probed.ts';
import { downstreamRecord, upstreamRecord } from '../../harness/side-record.ts';

/** A proxy's two connections, what they emit, and its relaying as it goes. */
function relay(downFields: Partial<SideRecord> = {}, upFields: Partial<SideRecord> = {}) {
  const down: SideRecord[] = [];
  const up: SideRecord[] = [];
  const d = probed(downstreamRecord(downFields), (record) => down.push(record));
  const u = probed(upstreamRecord(upFields), (record) => up.push(record));
  pairUp(d, u);
  let ns = 1000;
  const pass = (from: Probed, to: Probed, bytes: number): void => {
    from.read(bytes, ns++);
    to.write(bytes, ns++);
  };
  return {
    ...{ d, u, down, up },
    request: (bytes: number) => pass(d, u, bytes),
    answer: (bytes: number) => pass(u, d, bytes),
    now: () => ns++,
    end(): void {
      u.end(ns++);
      d.end(ns++);
    },
  };
}

/** All exchanges that the records make, each as the bytes of its request and answer as either side counts them. */
function exchangesOf(records: readonly SideRecord[]): string[] {
  const pair = createPair();
  const told: string[] = [];
  for (const record of records) {
    pair.push(record);
    for (let next = pair.next(); next; next = pair.next()) told.push(describeExchange(next));
  }
  return told;
}

function describeExchange({ downstream: d, upstream: u, overlapping }: PairedExchange): string {
  const down = d ? `${d.bytesRead}/${d.bytesWritten}` : '-';
  const up = u ? `${u.bytesWritten}/${u.bytesRead}` : '-';
  return `${down} ${up}${overlapping ? ' overlapping' : ''}`;
}

/** Every order of two lists that leaves each list's own. */
function interleavings<T>(a: readonly T[], b: readonly T[]): T[][] {
  const [a0, ...as] = a;
  const [b0, ...bs] = b;
  if (a0 === undefined || b0 === undefined) return [[...a, ...b]];
  return [
    ...interleavings(as, b).map((rest) => [a0, ...rest]),
    ...interleavings(a, bs).map((rest) => [b0, ...rest]),
  ];
}

describe('a relay whose ends take turns', () => {
  const { request, answer, end, down, up } = relay();
  for (const bytes of [10, 2000, 1]) {
    request(bytes);
    answer(bytes * 3);
  }
  end();

  test('whichever side is heard of first, each exchange meets its own other side', () => {
    for (const records of interleavings(down, up)) {
      assert.deepEqual(exchangesOf(records), ['10/30 10/30', '2000/6000 2000/6000', '1/3 1/3']);
    }
  });

  test('it is finished when both have ended, and not before', () => {
    const pair = createPair();
    for (const record of [...down, ...up.slice(0, -1)]) pair.push(record);
    while (pair.next());
    assert.equal(pair.finished(), false);
    for (const record of up.slice(-1)) pair.push(record);
    assert.equal(pair.finished(), false);
    while (pair.next());
    assert.equal(pair.finished(), true);
    assert.equal(pair.contradiction(), false);
  });

  test('a record that comes twice counts once', () => {
    const doubled = [...down, ...up].flatMap((record) => [record, record]);
    assert.deepEqual(exchangesOf(doubled), exchangesOf([...down, ...up]));
  });

  test('a lost record costs the border at which it stood, and no other', () => {
    for (const lost of [0, 1]) {
      const rest = up.filter((_, index) => index !== lost);
      const told = exchangesOf([...down, ...rest]);
      assert.equal(told.length, 2, `without the upstream's record ${lost}`);
      assert.equal(told.filter((exchange) => exchange.includes('overlapping')).length, 1);
    }
  });
});

describe('borders that one side saw and the other did not are none', () => {
  test('two requests in one go, answered one by one', () => {
    const { d, u, answer, request, end, down, up, now } = relay();
    d.read(200, now());
    u.write(100, now());
    u.read(10, now());
    u.write(100, now());
    d.write(10, now());
    answer(20);
    request(5);
    answer(6);
    end();
    for (const records of interleavings(down, up)) {
      assert.deepEqual(exchangesOf(records), ['200/30 200/30 overlapping', '5/6 5/6']);
    }
  });

  test('a request that comes in the midst of an answer', () => {
    const { d, u, answer, request, end, down, up, now } = relay();
    request(100);
    answer(50);
    d.read(100, now()); // a border here; upstream reads on
    u.read(50, now());
    u.write(100, now());
    d.write(50, now());
    answer(70);
    request(7);
    answer(8);
    end();
    for (const records of interleavings(down, up)) {
      assert.deepEqual(exchangesOf(records), ['200/170 200/170 overlapping', '7/8 7/8']);
    }
  });

  test('a pair that never agrees is cut after a while', () => {
    const pair = createPair();
    const rest = { flags: SIDE_FLAGS.EXCHANGE, bytesRead: 1, bytesWritten: 1 };
    let told = 0;
    for (let exchange = 1; exchange <= 1000; exchange++) {
      pair.push(downstreamRecord({ ...rest, exchange, totalRead: exchange, totalWritten: exchange }));
      pair.push(upstreamRecord({ ...rest, exchange, totalRead: exchange + 1, totalWritten: exchange - 1 }));
      const next = pair.next();
      if (next) told++;
    }
    assert.ok(told >= 1000 / 256 && told < 20, `${told} cuts`);
  });
});

describe('when the server speaks first', () => {
  test('its greeting is an exchange of its own', () => {
    const { d, u, answer, request, end, down, up } = relay();
    answer(40);
    request(10);
    answer(20);
    end();
    assert.deepEqual(exchangesOf([...up, ...down]), ['0/40 0/40', '10/20 10/20']);
    assert.ok(d.record.exchange === 2 && u.record.exchange === 2);
    assert.ok(down[0] && down[0].flags & SIDE_FLAGS.SERVER_FIRST);
  });
});

describe('sides that differ by what the proxy adds', () => {
  for (const flags of [SIDE_FLAGS.PROXY_HEADER, 0]) {
    test(`a PROXY header towards the upstream, ${flags ? 'recognised' : 'in no shape we know'}`, () => {
      const { request, answer, end, down, up, u, now } = relay({}, { flags });
      u.write(56, now());
      for (let i = 0; i < 3; i++) {
        request(100);
        answer(10);
      }
      end();
      const told = exchangesOf([...up, ...down]);
      assert.deepEqual(told, ['100/10 156/10', '100/10 100/10', '100/10 100/10']);
    });
  }

  test('a PROXY header from the client, which goes no further', () => {
    const { d, u, answer, request, end, down, up, now } = relay({ flags: SIDE_FLAGS.PROXY_HEADER });
    d.read(156, now());
    u.write(100, now());
    answer(10);
    request(100);
    answer(10);
    end();
    assert.deepEqual(exchangesOf([...down, ...up]), ['156/10 100/10', '100/10 100/10']);
  });

  test('a connection older than the probes, with bytes under way', () => {
    const { d, u, request, answer, end, down, up, now } = relay({ flags: SIDE_FLAGS.PREEXISTING });
    u.write(30, now()); // read before the probes came
    u.read(70, now());
    d.write(90, now()); // 20 of them read before
    for (let i = 0; i < 2; i++) {
      request(5);
      answer(6);
    }
    end();
    const told = exchangesOf([...down, ...up]);
    assert.deepEqual(told, ['0/90 30/70', '5/6 5/6', '5/6 5/6']);
  });
});

describe('ends in mid-exchange', () => {
  test('a request that reached no upstream, and one that was not answered', () => {
    const { d, u, request, answer, down, up, now } = relay();
    request(10);
    answer(20);
    request(5);
    d.end(now());
    u.end(now());
    for (const records of interleavings(down, up)) {
      assert.deepEqual(exchangesOf(records), ['10/20 10/20', '5/0 5/0']);
    }
    const swallowed = relay();
    swallowed.request(10);
    swallowed.answer(20);
    swallowed.d.read(5, swallowed.now());
    swallowed.end();
    assert.deepEqual(exchangesOf([...swallowed.up, ...swallowed.down]), ['10/20 10/20', '5/0 -']);
  });

  test('force takes what there is', () => {
    const { request, answer, down, d, now } = relay();
    request(10);
    answer(20);
    d.end(now());
    const pair = createPair();
    for (const record of down) pair.push(record);
    assert.equal(pair.next(), undefined);
    const forced = pair.next(true);
    assert.ok(forced);
    assert.equal(describeExchange(forced), '10/20 -');
    assert.equal(pair.next(true), undefined);
  });
});

describe('contradictions', () => {
  const shut = { flags: SIDE_FLAGS.EXCHANGE | SIDE_FLAGS.ENDED, exchange: 1 };
  const contradicts = (d: Partial<SideRecord>, u: Partial<SideRecord>): boolean => {
    const pair = createPair();
    pair.push(downstreamRecord({ ...shut, ...d }));
    pair.push(upstreamRecord({ ...shut, ...u }));
    while (pair.next());
    return pair.contradiction();
  };

  test('more came out than went in', () => {
    assert.equal(
      contradicts({ totalRead: 10, totalWritten: 20 }, { totalWritten: 10, totalRead: 20 }),
      false,
    );
    assert.equal(contradicts({ totalRead: 10, totalWritten: 25 }, { totalWritten: 10, totalRead: 20 }), true);
  });

  test('less may come out where the proxy was cut short', () => {
    assert.equal(contradicts({ totalRead: 10, totalWritten: 5 }, { totalWritten: 8, totalRead: 20 }), false);
    assert.equal(
      contradicts({ totalRead: 10, totalWritten: 25, error: 104 }, { totalWritten: 10, totalRead: 20 }),
      false,
    );
  });

  test('in a later exchange too', () => {
    const pair = createPair();
    const one = { flags: SIDE_FLAGS.EXCHANGE, exchange: 1, bytesRead: 10, bytesWritten: 10 };
    pair.push(downstreamRecord({ ...one, totalRead: 10, totalWritten: 10 }));
    pair.push(upstreamRecord({ ...one, totalRead: 10, totalWritten: 10 }));
    assert.ok(pair.next());
    pair.push(downstreamRecord({ ...shut, exchange: 2, totalRead: 20, totalWritten: 20 }));
    pair.push(upstreamRecord({ ...shut, exchange: 2, totalRead: 20, totalWritten: 21 }));
    while (pair.next());
    assert.equal(pair.contradiction(), true);
  });
});
