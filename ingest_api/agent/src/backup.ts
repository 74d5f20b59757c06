/**
 * Sealed events that no server has answered for yet, in IndexedDB: a later page sends what this one could not. Bounded;
 * the oldest go first. Where IndexedDB is missing, refuses or hangs, every call does nothing.
 */

import type { Bytes } from "./bytes";
import { of, openDatabase, type Stores, transact } from "./database";
import { FRAME_HEAD_BYTES } from "./frames";
import { type Channel, type Session, storedChannel } from "./session";
import type { World } from "./world";

export const LIMITS = { events: 200, bytes: 2 * 1024 * 1024, ageMs: 24 * 60 * 60 * 1_000 } as const;

/** One sealed event. */
export interface Kept {
  id: string;
  sealed: Bytes;
  /** Entries of the activity log in it. */
  entries: number;
  /** Unix ms when it was sealed. */
  at: number;
}

interface Row {
  id: string;
  session: string;
  entries: number;
  bytes: number;
  at: number;
}

interface SessionRow {
  id: string;
  endpoint: string;
  token: string;
  key: CryptoKey;
}

/** Events of one earlier page, with the means to send them. */
export interface Left {
  channel: Channel;
  events: Kept[];
}

/** The rows that a bounded store lets go of: too old, too many, or too much. */
export function surplus<T extends { at: number; bytes: number }>(rows: readonly T[], now: number): T[] {
  let events = 0;
  let bytes = 0;
  return [...rows]
    .sort((a, b) => b.at - a.at)
    .filter((row) => {
      events += 1;
      bytes += row.bytes;
      return events > LIMITS.events || bytes > LIMITS.bytes || row.at < now - LIMITS.ageMs;
    });
}

export class Backup {
  readonly opened: Promise<IDBDatabase | undefined>;
  private db: IDBDatabase | undefined;

  constructor(private readonly world: World) {
    this.opened = openDatabase(world).then((db) => (this.db = db));
  }

  /** Stores an event; returns what had to go for it. */
  keep(event: Kept, session: Session): Promise<Row[] | undefined> {
    return this.run("readwrite", async (stores) => {
      if (!session.stored) return [];
      const { id, endpoint, token, stored: key } = session;
      const row: Row = { id: event.id, session: id, entries: event.entries, bytes: event.sealed.length, at: event.at };
      stores.sessions.put({ id, endpoint, token, key } satisfies SessionRow, id);
      stores.events.put(event.sealed, event.id);
      stores.index.put(row, event.id);
      const gone = surplus((await of(stores.index.getAll())) as Row[], this.world.now());
      await remove(stores, gone.map((one) => one.id));
      return gone;
    });
  }

  /** Forgets events that were answered for. */
  forget(ids: readonly string[]): Promise<void | undefined> {
    return this.run("readwrite", (stores) => remove(stores, ids));
  }

  /** Events of one session, the oldest first, sealed before `before`, at most `bytes` of them, none of `mine`. */
  left(mine: (id: string) => boolean, before: number, bytes: number): Promise<Left | undefined> {
    const { subtle } = this.world;
    if (!subtle) return Promise.resolve(undefined);
    return this.run("readonly", async (stores) => {
      const sessions = new Set(await of(stores.sessions.getAllKeys()));
      const rows = ((await of(stores.index.getAll())) as Row[])
        .filter((row) => row.at < before && !mine(row.id) && sessions.has(row.session))
        .sort((a, b) => a.at - b.at);
      const first = rows[0];
      if (!first) return undefined;
      const session = (await of(stores.sessions.get(first.session))) as SessionRow;
      const events: Kept[] = [];
      let room = bytes;
      for (const row of rows.filter((one) => one.session === first.session)) {
        const sealed = (await of(stores.events.get(row.id))) as Bytes | undefined;
        room -= (sealed?.length ?? 0) + FRAME_HEAD_BYTES;
        if (!sealed || (events.length && room < 0)) break;
        events.push({ id: row.id, sealed, entries: row.entries, at: row.at });
      }
      return { channel: storedChannel(subtle, session), events };
    });
  }

  /** Forgets what is over a day old; returns it. */
  expire(): Promise<Row[] | undefined> {
    return this.run("readwrite", async (stores) => {
      const gone = surplus((await of(stores.index.getAll())) as Row[], this.world.now());
      await remove(stores, gone.map((one) => one.id));
      return gone;
    });
  }

  readDevice(): Promise<unknown> {
    return this.run("readonly", (stores) => of(stores.device.get("id")));
  }

  writeDevice(id: string): void {
    void this.run("readwrite", (stores) => of(stores.device.put(id, "id")));
  }

  /** At once where the database is open, so that it still happens on a page that is being left. */
  private run<T>(mode: IDBTransactionMode, work: (stores: Stores) => Promise<T>): Promise<T | undefined> {
    if (this.db) return transact(this.db, mode, work);
    return this.opened.then((db) => db && transact(db, mode, work));
  }
}

/** Deletes events, and sessions that no event needs any longer. */
async function remove(stores: Stores, ids: readonly string[]): Promise<void> {
  if (!ids.length) return;
  const gone = new Set(ids);
  const rows = (await of(stores.index.getAll())) as Row[];
  const needed = new Set(rows.filter((row) => !gone.has(row.id)).map((row) => row.session));
  for (const id of ids) {
    stores.events.delete(id);
    stores.index.delete(id);
  }
  for (const session of new Set(rows.map((row) => row.session))) {
    if (!needed.has(session)) stores.sessions.delete(session);
  }
}
