/** All that the agent takes from the browser, in one place, so that a test can hand in another world. */

export interface World {
  fetch: typeof fetch;
  /** Unix ms. */
  now(): number;
  /** Ms since navigation start. */
  clock(): number;
  setTimeout(task: () => void, ms: number): number;
  clearTimeout(timer: number): void;
  /** Between 0 and 1, for jitter only. */
  random(): number;
  randomBytes(count: number): Uint8Array<ArrayBuffer>;
  subtle: SubtleCrypto | undefined;
  indexedDB: IDBFactory | undefined;
  localStorage: Storage | undefined;
  sessionStorage: Storage | undefined;
  locks: LockManager | undefined;
  beacon: ((url: string, body: Blob) => boolean) | undefined;
  window: EventTarget;
  document: EventTarget & Pick<Document, "visibilityState" | "readyState" | "body">;
  warn(sentence: string): void;
}

/** What `take` returns, or undefined where the browser refuses: a sandboxed frame throws on mere access. */
export function attempt<T>(take: () => T): T | undefined {
  try {
    return take();
  } catch {
    return undefined;
  }
}

/** The world of a real page, or undefined where there is none, as on a server that renders pages. */
export function browserWorld(): World | undefined {
  if (typeof window === "undefined" || typeof document === "undefined" || typeof fetch !== "function") return undefined;
  const source = attempt(() => crypto);
  if (typeof source?.getRandomValues !== "function") return undefined;
  return {
    fetch: window.fetch.bind(window),
    now: () => Date.now(),
    clock: () => performance.now(),
    setTimeout: (task, ms) => window.setTimeout(task, ms),
    clearTimeout: (timer) => window.clearTimeout(timer),
    random: () => Math.random(),
    randomBytes: (count) => source.getRandomValues(new Uint8Array(count)),
    subtle: attempt(() => source.subtle),
    indexedDB: attempt(() => window.indexedDB) ?? undefined,
    localStorage: attempt(() => window.localStorage) ?? undefined,
    sessionStorage: attempt(() => window.sessionStorage) ?? undefined,
    locks: attempt(() => navigator.locks),
    beacon: typeof navigator.sendBeacon === "function" ? (url, body) => navigator.sendBeacon(url, body) : undefined,
    window,
    document,
    warn: (sentence) => console.warn(`clickgoose: ${sentence}`),
  };
}
