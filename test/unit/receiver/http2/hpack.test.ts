import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HEADERS } from '../../../../src/receiver/http1/head.ts';
import {
  createHpackDecoder,
  type HeaderBlock,
  type HpackDecoder,
} from '../../../../src/receiver/http2/hpack.ts';
import { decodeHuffman } from '../../../../src/receiver/http2/huffman.ts';
import {
  createHpackEncoder,
  type Field,
  huffmanCode,
  integer,
  string,
} from '../../../harness/hpack-encoder.ts';
import { readByNode } from '../../../harness/node-http2.ts';
import { createRandom } from '../../../harness/random.ts';

const NOTHING = {
  ...{
    method: '',
    path: '',
    query: '',
    authority: '',
    statusCode: 0,
    headers: {},
    fields: [],
    incomplete: false,
  },
};
const LISTED = [...HEADERS];
const HOSTILE_SESSIONS = 1000;
const FUZZ_CASES = 20_000;
const INDEXED_FIRST = 0xbe; // the newest of the dynamic table

const decode = (decoder: HpackDecoder, block: Uint8Array, isCut = false): HeaderBlock =>
  decoder.decode(block, 0, block.length, isCut);

/** What should be kept of these fields. */
function kept(fields: readonly Field[]): HeaderBlock {
  const block = { ...NOTHING, headers: {} as Record<string, string> };
  for (const [name, value] of fields) {
    if (name === ':method') block.method = value;
    else if (name === ':path') block.path = value.replace(/[?#].*$/s, '');
    else if (name === ':authority') block.authority = value.replace(/^.*@/s, '');
    else if (name === ':status') block.statusCode = Number(value);
    else if (name === 'tracestate' && block.headers[name]) block.headers[name] += value && `,${value}`;
    else if (name === 'tracestate') block.headers[name] = value;
    else if (HEADERS.has(name)) block.headers[name] ??= value;
  }
  block.authority ||= block.headers.host ?? '';
  return block;
}

describe('RFC 7541, appendix C', () => {
  const www = { authority: 'www.example.com' };
  const get = { method: 'GET', path: '/', ...www };
  const found = { statusCode: 302 };
  /** Example, its blocks in hexadecimal, what is kept of each, and the size of the table behind each. */
  const examples: [string, ...[string, Partial<HeaderBlock>, number][]][] = [
    ['C.2.1', ['400a637573746f6d2d6b65790d637573746f6d2d686561646572', {}, 55]],
    ['C.2.2', ['040c2f73616d706c652f70617468', { path: '/sample/path' }, 0]],
    ['C.2.3', ['100870617373776f726406736563726574', {}, 0]],
    ['C.2.4', ['82', { method: 'GET' }, 0]],
    [
      'C.3',
      ['828684410f7777772e6578616d706c652e636f6d', get, 57],
      ['828684be58086e6f2d6361636865', get, 110],
      [
        '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
        { method: 'GET', path: '/index.html', ...www },
        164,
      ],
    ],
    [
      'C.4',
      ['828684418cf1e3c2e5f23a6ba0ab90f4ff', get, 57],
      ['828684be5886a8eb10649cbf', get, 110],
      [
        '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
        { method: 'GET', path: '/index.html', ...www },
        164,
      ],
    ],
    [
      'C.5',
      ['3fe101', {}, 0], // SETTINGS_HEADER_TABLE_SIZE is 256
      [
        '4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e17687474' +
          '70733a2f2f7777772e6578616d706c652e636f6d',
        found,
        222,
      ],
      ['4803333037c1c0bf', { statusCode: 307 }, 222],
      [
        '88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a' +
          '4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31',
        { statusCode: 200 },
        215,
      ],
    ],
    [
      'C.6',
      ['3fe101', {}, 0],
      [
        '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae' +
          '82ae43d3',
        found,
        222,
      ],
      ['4883640effc1c0bf', { statusCode: 307 }, 222],
      [
        '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960' +
          'd5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
        { statusCode: 200 },
        215,
      ],
    ],
  ];
  for (const [name, ...blocks] of examples) {
    test(name, () => {
      const decoder = createHpackDecoder();
      for (const [hex, expected, tableBytes] of blocks) {
        assert.deepEqual(decode(decoder, Buffer.from(hex, 'hex')), { ...NOTHING, ...expected });
        assert.equal(decoder.tableBytes(), tableBytes);
      }
    });
  }
});

test('the query string is kept where it is asked for, in later references to it as well', () => {
  const decoder = createHpackDecoder({ queryStrings: true });
  const path = Buffer.from('/a?b=1#c');
  const literal = Buffer.concat([Buffer.from([0x44, path.length]), path]);
  for (const block of [literal, Buffer.from([0xbe])]) {
    const { path, query } = decoder.decode(block, 0, block.length);
    assert.deepEqual([path, query], ['/a', 'b=1']);
  }
});

describe('Huffman code', () => {
  const decoded = (code: Uint8Array): string | undefined => {
    const into = Buffer.alloc(2 * code.length);
    const length = decodeHuffman(code, 0, code.length, into);
    assert.equal(decodeHuffman(code, 0, code.length), length);
    return length < 0 ? undefined : into.toString('latin1', 0, length);
  };

  test('every octet, and all behind one another', () => {
    const octets = Uint8Array.from({ length: 256 }, (_, octet) => octet);
    for (const octet of octets)
      assert.equal(decoded(huffmanCode([octet] as never)), String.fromCharCode(octet));
    assert.equal(decoded(huffmanCode(octets)), Buffer.from(octets).toString('latin1'));
  });

  test('padding that is too long, or not of ones, and EOS are errors (section 5.2)', () => {
    const a = [0x1f]; // 'a' and three bits of padding
    assert.equal(decoded(Buffer.from(a)), 'a');
    assert.equal(decoded(Buffer.from([0x1e])), undefined);
    assert.equal(decoded(Buffer.from([...a, 0xff])), undefined);
    assert.equal(decoded(Buffer.from([0xff, 0xff, 0xff, 0xff])), undefined);
    assert.equal(decoded(Buffer.from([0xff, 0xff, 0xff, 0xfc])), undefined);
  });
});

describe('what is held', () => {
  test('of names that are not listed nothing but their size', () => {
    const encoder = createHpackEncoder(createRandom(1));
    const decoder = createHpackDecoder();
    const secret: Field = ['authorization', 'Bearer abc'];
    decode(decoder, encoder.field(secret, 'added'));
    assert.equal(decoder.tableBytes(), 55);
    assert.deepEqual(decode(decoder, Buffer.from([INDEXED_FIRST])), NOTHING);
  });

  test('of a path no query, of an authority no password', () => {
    const decoder = createHpackDecoder();
    const encoder = createHpackEncoder(createRandom(1));
    const fields: Field[] = [
      [':path', '/a?token=1'],
      [':authority', 'user:secret@a.test'],
    ];
    const expected = { ...NOTHING, path: '/a', authority: 'a.test' };
    assert.deepEqual(
      decode(decoder, Buffer.concat(fields.map((field) => encoder.field(field, 'added')))),
      expected,
    );
    assert.deepEqual(decode(decoder, Buffer.from([INDEXED_FIRST, INDEXED_FIRST + 1])), expected);
  });

  test('values and paths are bounded, and so are lists of tracestate', () => {
    const encoder = createHpackEncoder(createRandom(1), 65_536);
    const decoder = createHpackDecoder();
    const long: Field[] = [
      [':path', `/${'p'.repeat(5000)}`],
      ['user-agent', 'u'.repeat(5000)],
      ['tracestate', 's'.repeat(500)],
    ];
    const first = Buffer.concat([
      encoder.resize(65_536),
      ...long.map((field) => encoder.field(field, 'added')),
    ]);
    const block = decode(decoder, Buffer.concat([first, Buffer.alloc(16_000, INDEXED_FIRST)]));
    assert.deepEqual([block.path.length, block.headers['user-agent']?.length], [2048, 1024]);
    assert.equal(block.headers.tracestate?.length, 2 * 500 + 1);
  });

  test('the table is bounded, whatever the encoder says', () => {
    const decoder = createHpackDecoder();
    decode(decoder, integer(1e9, 5, 0x20));
    for (let n = 0; n < 200; n++) {
      const strings = [string('x-request-id', false), string(`${n}${'i'.repeat(999)}`, false)];
      decode(decoder, Buffer.concat([Buffer.from([0x40]), ...strings]));
    }
    assert.ok(decoder.tableBytes() <= 65_536 && decoder.tableBytes() > 60_000);
    assert.equal(decode(decoder, Buffer.from([INDEXED_FIRST])).headers['x-request-id']?.slice(0, 4), '199i');
    assert.deepEqual(decode(decoder, integer(62 + 199, 7, 0x80)), { ...NOTHING, incomplete: true });
  });
});

describe('in mid-life', () => {
  const id = (value: string): Field => ['x-request-id', value];

  test('indexes count from the newest entry', () => {
    const encoder = createHpackEncoder(createRandom(3));
    const decoder = createHpackDecoder();
    encoder.block([id('before'), ['cookie', 'before'], ['user-agent', 'before']]);
    const old = encoder.field(['user-agent', 'old'], 'added');
    decoder.forget();
    assert.deepEqual(decode(decoder, encoder.field(id('new'), 'added')).headers, { 'x-request-id': 'new' });
    decode(decoder, encoder.field(['x-other', 'new'], 'added'));
    assert.deepEqual(decode(decoder, encoder.field(id('new'), 'indexed')), {
      ...NOTHING,
      headers: { 'x-request-id': 'new' },
    });
    assert.ok(old.length > 0);
    const unknown = encoder.field(['user-agent', 'old'], 'indexed');
    assert.deepEqual(decode(decoder, unknown), { ...NOTHING, incomplete: true });
  });

  test('a value whose name is unknown is left out, whenever it is referred to', () => {
    const decoder = createHpackDecoder();
    decoder.forget();
    const literal = Buffer.concat([integer(70, 6, 0x40), string('value', false)]);
    const incomplete = { ...NOTHING, incomplete: true };
    assert.deepEqual(decode(decoder, literal), incomplete);
    assert.deepEqual(decode(decoder, Buffer.from([INDEXED_FIRST])), incomplete);
    assert.deepEqual(decode(decoder, Buffer.from([0x82])), { ...NOTHING, method: 'GET' });
  });

  test('a cut block is read as far as it goes', () => {
    const encoder = createHpackEncoder(createRandom(1));
    const fields: Field[] = [[':method', 'GET'], id('r'), ['user-agent', 'u'.repeat(50)]];
    const block = Buffer.concat(fields.map((field) => encoder.field(field, 'added')));
    const decoder = createHpackDecoder();
    const cut = decode(decoder, block.subarray(0, -10), true);
    assert.deepEqual(cut, { ...NOTHING, method: 'GET', headers: { 'x-request-id': 'r' }, incomplete: true });
    assert.equal(decoder.tableBytes(), 0);
  });
});

describe('errors leave nothing of the block', () => {
  const cases: [string, string][] = [
    ['index 0', '8280'],
    ['an integer without an end', '82ffffffffffff'],
    ['an integer that is too great', '82ffffffffff7f'],
    ['an integer of too many octets', '82ff80808080808000'],
    ['a string that is longer than the block', '82400161ff'],
    ['a name without a value', '82400161'],
    ['a name of no length at the end', '8240'],
    ['a string in wrong code', '8240816100'],
    ['a table size update behind a field', '823fe101'],
  ];
  for (const [name, hex] of cases) {
    test(name, () => {
      const decoder = createHpackDecoder();
      const incomplete = { ...NOTHING, incomplete: true };
      decode(decoder, Buffer.concat([Buffer.from([0x41]), string('before', false)]));
      assert.deepEqual(decode(decoder, Buffer.from(hex, 'hex')), incomplete);
      assert.deepEqual(decode(decoder, Buffer.from([INDEXED_FIRST])), incomplete); // who knows what was added
      assert.deepEqual(decode(decoder, Buffer.from([0x82])), { ...NOTHING, method: 'GET' });
    });
  }
});

const VALUES = [
  '',
  'a',
  '/x?y#z',
  'text/plain',
  'grpc-status',
  '\xe9\xff',
  'r'.repeat(300),
  '0'.repeat(1000),
];
const NAMES = [...LISTED, 'accept', 'cookie', 'set-cookie', 'x-other', 'x-request-i', 'authorization'];

function randomFields(random: () => number): Field[] {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const digits = (): string => Math.floor(random() * 1e9).toString(36);
  const request: Field[] = [
    [':method', pick(['GET', 'POST', 'PATCH'])],
    [':scheme', pick(['http', 'https'])],
    [':path', pick(['/', '/index.html', `/${digits()}?q=${digits()}`])],
    [':authority', pick(['a.test', 'b.test:81'])],
  ];
  const names = new Set(Array.from({ length: Math.floor(random() * 12) }, () => pick(NAMES)));
  names.delete('host');
  return [
    ...request,
    ...[...names].map((name): Field => [name, random() < 0.5 ? pick(VALUES) : digits()]),
    ...(random() < 0.2 ? ([['tracestate', digits()]] as Field[]) : []),
  ];
}

describe("against Node's own HTTP/2", () => {
  test('good blocks, the table of any size', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const random = createRandom(seed);
      const encoder = createHpackEncoder(random);
      const decoder = createHpackDecoder();
      const blocks: Buffer[] = [];
      const sizes: number[] = [];
      for (let n = 0; n < 90; n++) {
        const resizes =
          random() < 0.1 ? [encoder.resize(Math.floor(random() * (random() < 0.5 ? 300 : 65_000)))] : [];
        blocks.push(Buffer.concat([...resizes, encoder.block(randomFields(random))]));
        sizes.push(encoder.tableBytes());
      }
      const byNode = await readByNode(blocks);
      for (const [at, block] of blocks.entries()) {
        const fields = byNode[at];
        assert.ok(fields, `seed ${seed}, block ${at}`);
        assert.deepEqual(decode(decoder, block), kept(fields), `seed ${seed}, block ${at}`);
        assert.equal(decoder.tableBytes(), sizes[at]);
      }
    }
  });

  test('hostile blocks: what it takes we read alike', async () => {
    let taken = 0;
    for (let seed = 1; seed <= HOSTILE_SESSIONS; seed++) {
      const random = createRandom(seed);
      const encoder = createHpackEncoder(random);
      const blocks = Array.from({ length: 8 }, (_, n) => {
        const block = encoder.block(randomFields(random));
        return n < 2 ? block : mutated(random, block);
      });
      const byNode = await readByNode(blocks);
      const decoder = createHpackDecoder();
      for (const [at, block] of blocks.entries()) {
        const read = decode(decoder, block);
        const fields = byNode[at];
        if (!fields) continue;
        if (at >= 2) taken++;
        assert.deepEqual(withoutMalformed(read), kept(fields), `seed ${seed}, block ${at}`);
      }
    }
    assert.ok(taken > HOSTILE_SESSIONS / 8, `${taken}`);
  });
});

/** Node passes over fields whose value holds control characters; to us they are as good as others. */
function withoutMalformed(block: HeaderBlock): HeaderBlock {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are meant
  const isGood = ([, value]: [string, string]): boolean => !/[\x00-\x08\x0a-\x1f\x7f]/.test(value);
  return { ...block, headers: Object.fromEntries(Object.entries(block.headers).filter(isGood)) };
}

function mutated(random: () => number, block: Buffer): Buffer {
  const at = Math.floor(random() * block.length);
  const some = (): Buffer =>
    Buffer.from(Array.from({ length: 1 + Math.floor(random() * 4) }, () => random() * 256));
  switch (Math.floor(random() * 6)) {
    case 0:
      return Buffer.concat([block.subarray(0, at), some(), block.subarray(at)]);
    case 1:
      return Buffer.concat([block.subarray(0, at), block.subarray(at + 1 + Math.floor(random() * 5))]);
    case 2: {
      const copy = Buffer.from(block);
      copy[at] = (copy[at] as number) ^ (1 << Math.floor(random() * 8));
      return copy;
    }
    case 3:
      return block.subarray(0, at);
    case 4:
      return Buffer.concat([block, integer(Math.floor(random() * 80), 7, 0x80)]);
    default:
      return Buffer.concat([block.subarray(0, at), integer(random() * 2 ** 40, 7, 0x80), block.subarray(at)]);
  }
}

test('any bytes: nothing fails, nothing is held but what is listed, and what comes later is right', () => {
  const random = createRandom(11);
  let decoder = createHpackDecoder();
  let encoder = createHpackEncoder(random);
  for (let n = 0; n < FUZZ_CASES; n++) {
    const block = encoder.block(randomFields(random));
    const noise = Buffer.from(Array.from({ length: random() * 100 }, () => random() * 256));
    const hostile = random() < 0.3 ? noise : mutated(random, block);
    const read = decode(decoder, hostile, random() < 0.1);
    assert.ok(Object.keys(read.headers).every((name) => HEADERS.has(name)));
    assert.ok(JSON.stringify(read).length < 20_000);
    assert.ok(decoder.tableBytes() <= 65_536);
    if (n % 10 > 0) continue;
    /* As on a connection that was joined: an encoder that refers to nothing older. */
    encoder = createHpackEncoder(random);
    if (n % 100 === 0) decoder = createHpackDecoder();
    else decoder.forget();
    for (let good = 0; good < 3; good++) {
      const fields = randomFields(random);
      assert.deepEqual(decode(decoder, encoder.block(fields)), kept(fields));
    }
  }
});
