import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HopspanError } from '../../../src/errors.ts';
import { createHttpPages } from '../../../src/telemetry/http-server.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };

describe('small pages', () => {
  it('those with one address share a server; other paths and methods are refused', async () => {
    const pages = createHttpPages();
    pages.add(LOOPBACK, '/a', (_, response) => response.end('A'));
    pages.add(LOOPBACK, '/b', (_, response) => response.end('B'));
    await pages.start();
    const [a = '', b = ''] = pages.urls();
    assert.equal(new URL(a).port, new URL(b).port);
    assert.equal(await (await fetch(`${a}?x=1`)).text(), 'A');
    assert.equal(await (await fetch(b)).text(), 'B');
    assert.equal((await fetch(a, { method: 'POST', body: 'x'.repeat(100_000) })).status, 405);
    assert.equal((await fetch(new URL('/other', a))).status, 404);
    await pages.close();
    await assert.rejects(fetch(a));
  });

  it('an address that is taken is an error that says what for', async () => {
    const first = createHttpPages();
    first.add(LOOPBACK, '/a', (_, response) => response.end());
    await first.start();
    const port = Number(new URL(first.urls()[0] ?? '').port);
    const second = createHttpPages();
    second.add({ ...LOOPBACK, port }, '/metrics', (_, response) => response.end());
    await assert.rejects(
      second.start(),
      (error) =>
        error instanceof HopspanError &&
        error.code === 'LISTEN_FAILED' &&
        /for \/metrics/.test(error.message),
    );
    await first.close();
    await second.close();
  });
});
