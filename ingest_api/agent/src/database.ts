/** IndexedDB as promises that always settle: a browser that throws, refuses or hangs gives undefined. */

import { attempt, type World } from "./world";

const OPEN_MS = 3_000;
const NAME = "clickgoose";
const VERSION = 1;

export const STORES = ["events", "index", "sessions", "device"] as const;
export type StoreName = (typeof STORES)[number];

export function openDatabase(world: World): Promise<IDBDatabase | undefined> {
  return new Promise((resolve) => {
    const timer = world.setTimeout(() => resolve(undefined), OPEN_MS);
    const settle = (db: IDBDatabase | undefined): void => {
      world.clearTimeout(timer);
      resolve(db);
    };
    const request = attempt(() => world.indexedDB?.open(NAME, VERSION));
    if (!request) return settle(undefined);
    request.onupgradeneeded = () => {
      const db = request.result;
      for (const store of STORES) {
        if (!db.objectStoreNames.contains(store)) db.createObjectStore(store);
      }
    };
    request.onsuccess = () => {
      const db = request.result;
      db.onversionchange = () => db.close(); // another tab brings a newer version: never stand in its way
      settle(db);
    };
    request.onerror = (event) => {
      event.preventDefault();
      settle(undefined);
    };
    request.onblocked = () => settle(undefined);
  });
}

export type Stores = Record<StoreName, IDBObjectStore>;

/**
 * Runs `work` in one transaction and returns what it returns once the transaction is complete. `work` starts at once
 * and must wait for nothing but requests of `of`. Undefined where anything fails.
 */
export function transact<T>(
  db: IDBDatabase,
  mode: IDBTransactionMode,
  work: (stores: Stores) => Promise<T>,
): Promise<T | undefined> {
  return new Promise((resolve) => {
    const started = attempt(() => db.transaction([...STORES], mode, { durability: "relaxed" }));
    if (!started) return resolve(undefined);
    const stores = Object.fromEntries(STORES.map((name) => [name, started.objectStore(name)])) as Stores;
    let result: T | undefined;
    started.oncomplete = () => resolve(result);
    started.onabort = () => resolve(undefined);
    started.onerror = (event) => event.preventDefault();
    const failed = (): void => {
      attempt(() => started.abort());
      resolve(undefined);
    };
    const running = attempt(() => work(stores));
    if (!running) return failed();
    running.then((value) => (result = value)).catch(failed);
  });
}

export function of<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("request failed"));
  });
}
