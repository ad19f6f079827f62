import { closeSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';

/** `PRAGMA application_id`: "hopq". */
const APPLICATION_ID = 0x686f7071;
/** The log is cut to this when all of it is in the file. */
const LOG_LIMIT_BYTES = 4 * 1024 * 1024;
/** A file of more pages than this is made small again once it is empty. */
const SPARE_PAGES = 4096;
/** Single rows that are looked for in a damaged file where no walk gets through. */
const MAX_LOOKUPS = 1_000_000;

// Result codes: https://www.sqlite.org/rescode.html
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

/** The file, and those that SQLite keeps beside it. */
const ENDS = ['', '-wal', '-journal', '-shm'];

export interface StoredBatch {
  readonly id: number;
  readonly spans: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What a walk over the oldest batches gave. */
export interface ReadResult {
  readonly batches: StoredBatch[];
  /** The last one that was looked at; undefined: there is none after the one that was asked for. */
  readonly lastId: number | undefined;
  /** Those whose bytes are not what was written. */
  readonly damaged: readonly { readonly id: number; readonly spans: number; readonly length: number }[];
}

export interface Contents {
  readonly spans: number;
  readonly bytes: number;
  /** 0 where it is empty. */
  readonly lastId: number;
  /** Where a file that was damaged is kept, whose good batches are in this one. */
  readonly damagedFile?: string;
}

/** The result code of an error of SQLite; undefined for others. */
function resultCode(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === 'number' ? errcode & 0xff : undefined;
}

/** Whether another process has the file. */
export function isInUse(error: unknown): boolean {
  return resultCode(error) === SQLITE_BUSY;
}

export function isDamage(error: unknown): boolean {
  const code = resultCode(error);
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

interface Row {
  readonly id: number;
  readonly spans: number;
  readonly length: number;
  readonly crc: number;
  readonly request: Uint8Array<ArrayBuffer>;
}

const ROW = 'id, spans, length, crc, request';

function isIntact(row: Row): boolean {
  return row.request.length === row.length && crc32(row.request) === row.crc;
}

/**
 * Batches in a SQLite file with a write-ahead log, in the order of their ids. The lock is the kernel's, so that it goes
 * with the process, however that ends. A batch that was put is safe from the end of the process; from the end of the
 * machine it is after the next `sync` (synchronous=NORMAL: https://www.sqlite.org/pragma.html#pragma_synchronous).
 * All methods block, and throw what node:fs or node:sqlite throw.
 */
export class QueueFile {
  readonly #path: string;
  #database: DatabaseSync;
  #insert: StatementSync;
  #delete: StatementSync;
  #select: StatementSync;
  /** To be removed at the next opportunity: a disk that is full may refuse even that. */
  readonly #removed = new Set<number>();
  #contents: Contents;

  constructor(path: string) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // SQLite gives the files beside it the same rights.
    closeSync(openSync(path, 'a', 0o600));
    let damagedFile: string | undefined;
    try {
      this.#database = openDatabase(path);
    } catch (error) {
      if (!isDamage(error)) throw error;
      damagedFile = rescue(path);
      this.#database = openDatabase(path);
    }
    [this.#insert, this.#delete, this.#select] = this.#prepare();
    this.#contents = this.#count(damagedFile);
  }

  /** As it was opened. */
  get contents(): Contents {
    return this.#contents;
  }

  put(id: number, spans: number, bytes: Uint8Array): void {
    this.#insert.run(id, spans, bytes.length, crc32(bytes), bytes);
  }

  /** The oldest batches behind `id`, at most `limit`. */
  readAfter(id: number, limit: number): ReadResult {
    const rows = this.#select.all(id, limit) as unknown as Row[];
    const good = rows.filter(isIntact);
    return {
      batches: good.map(({ id: at, spans, request }) => ({ id: at, spans, bytes: request })),
      lastId: rows.at(-1)?.id,
      damaged: rows
        .filter((row) => !isIntact(row))
        .map(({ id: at, spans, length }) => ({ id: at, spans, length })),
    };
  }

  remove(id: number): void {
    this.#removed.add(id);
    try {
      for (const each of this.#removed) {
        this.#delete.run(each);
        this.#removed.delete(each);
      }
    } catch (error) {
      if (resultCode(error) !== SQLITE_FULL || !this.#isUseless()) throw error;
      this.#renew();
    }
  }

  /** Whether all that is in it should have been removed. */
  #isUseless(): boolean {
    const { rows } = this.#database.prepare('SELECT count(*) rows FROM batches').get() as { rows: number };
    return rows <= this.#removed.size;
  }

  /** A log that fills the disk can neither take a removal nor be brought into the file: both give way to new ones. */
  #renew(): void {
    this.#database.close();
    for (const end of ENDS) rmSync(this.#path + end, { force: true });
    this.#reopen();
    this.#removed.clear();
  }

  #reopen(): void {
    closeSync(openSync(this.#path, 'a', 0o600));
    this.#database = openDatabase(this.#path);
    [this.#insert, this.#delete, this.#select] = this.#prepare();
  }

  /** Brings all that was put onto the disk itself, and gives back a large file's room once it is empty. */
  sync(): void {
    this.#database.exec('PRAGMA wal_checkpoint(PASSIVE)');
    const { page_count: pages } = this.#database.prepare('PRAGMA page_count').get() as { page_count: number };
    if (pages <= SPARE_PAGES || this.#select.get(0, 1) !== undefined) return;
    this.#database.exec('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)');
  }

  /** Puts a file that turned out to be damaged aside, and goes on with what can be read of it. */
  repair(): string {
    this.#database.close();
    const damagedFile = rescue(this.#path);
    this.#reopen();
    return damagedFile;
  }

  close(): void {
    this.#database.close();
  }

  #prepare(): [StatementSync, StatementSync, StatementSync] {
    return [
      this.#database.prepare(`INSERT INTO batches (${ROW}) VALUES (?, ?, ?, ?, ?)`),
      this.#database.prepare('DELETE FROM batches WHERE id = ?'),
      this.#database.prepare(`SELECT ${ROW} FROM batches WHERE id > ? ORDER BY id LIMIT ?`),
    ];
  }

  #count(damagedFile: string | undefined): Contents {
    const sums = 'coalesce(sum(spans), 0) spans, coalesce(sum(length), 0) bytes, coalesce(max(id), 0) lastId';
    const counted = this.#database.prepare(`SELECT ${sums} FROM batches`).get() as unknown as Contents;
    return { ...counted, ...(damagedFile === undefined ? {} : { damagedFile }) };
  }
}

/** Takes the file for this process alone, and looks whether it is whole. */
function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // Exclusive before the first access: then the log's index needs no shared memory, either.
    database.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
      PRAGMA journal_size_limit = ${LOG_LIMIT_BYTES}; BEGIN EXCLUSIVE; COMMIT`);
    const { application_id: owner } = database.prepare('PRAGMA application_id').get() as {
      application_id: number;
    };
    if (owner === 0) database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
    else if (owner !== APPLICATION_ID) throw new Error('it is a database of another program');
    database.exec(`CREATE TABLE IF NOT EXISTS batches (
      id INTEGER PRIMARY KEY, spans INTEGER NOT NULL, length INTEGER NOT NULL, crc INTEGER NOT NULL, request BLOB NOT NULL)`);
    const { quick_check: verdict } = database.prepare('PRAGMA quick_check(1)').get() as {
      quick_check: string;
    };
    if (verdict !== 'ok') throw Object.assign(new Error(verdict), { errcode: SQLITE_CORRUPT });
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Puts a damaged file aside and makes a new one of what can be read of it. Where that fails, a full disk for example,
 * all is as before.
 * @returns where the damaged one is kept.
 */
function rescue(path: string): string {
  const aside = `${path}.damaged`;
  move(path, aside);
  try {
    closeSync(openSync(path, 'a', 0o600));
    const fresh = openDatabase(path);
    try {
      const insert = fresh.prepare(`INSERT INTO batches (${ROW}) VALUES (?, ?, ?, ?, ?)`);
      fresh.exec('BEGIN');
      salvage(aside, (row) => insert.run(row.id, row.spans, row.length, row.crc, row.request));
      fresh.exec('COMMIT');
    } finally {
      fresh.close();
    }
  } catch (error) {
    move(aside, path);
    throw error;
  }
  return aside;
}

/** With the files that SQLite keeps beside it; what was there before is removed. */
function move(from: string, to: string): void {
  for (const end of ENDS) {
    rmSync(to + end, { force: true });
    try {
      renameSync(from + end, to + end);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

/** Every row that can be read: from the front until it fails, from the back until it fails, then one by one between. */
function salvage(path: string, keep: (row: Row) => void): void {
  let damaged: DatabaseSync | undefined;
  try {
    damaged = new DatabaseSync(path, { timeout: 0 });
    const up = damaged.prepare(`SELECT ${ROW} FROM batches WHERE id > ? ORDER BY id LIMIT 1`);
    const down = damaged.prepare(`SELECT ${ROW} FROM batches WHERE id < ? ORDER BY id DESC LIMIT 1`);
    const one = damaged.prepare(`SELECT ${ROW} FROM batches WHERE id = ?`);
    const take = (statement: StatementSync, id: number): Row | undefined => {
      const row = statement.get(id) as unknown as Row | undefined;
      if (row !== undefined && isIntact(row)) keep(row);
      return row;
    };
    let low = 0;
    let high = Number.MAX_SAFE_INTEGER;
    const whole = attempt(() => {
      for (let row = take(up, low); row; row = take(up, low)) low = row.id;
    });
    if (whole) return;
    attempt(() => {
      for (let row = take(down, high); row && row.id > low; row = take(down, high)) high = row.id;
    });
    for (let id = low + 1; id < Math.min(high, low + MAX_LOOKUPS); id++) attempt(() => take(one, id));
  } catch (error) {
    if (!isReadFailure(error)) throw error;
  } finally {
    damaged?.close();
  }
}

/** Whether it went through to its end; what is unreadable is no reason to stop the rescue. */
function attempt(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (!isReadFailure(error)) throw error;
    return false;
  }
}

/** Not the errors of the new file's disk. */
function isReadFailure(error: unknown): boolean {
  const code = resultCode(error);
  // A table that is not there any more is an SQLITE_ERROR (1), a sector that cannot be read an SQLITE_IOERR (10).
  return isDamage(error) || code === 1 || code === 10;
}
