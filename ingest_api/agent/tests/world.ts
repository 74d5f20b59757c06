/** A world for tests: a clock that stands still until told, and a server, a page and stores that can be broken. */

import { webcrypto } from "node:crypto";
import { IDBFactory } from "fake-indexeddb";
import type { Parts } from "../src/agent";
import { createApi } from "../src/api";
import type { World } from "../src/world";
import { Server } from "./server";

export class FakeStorage {
  readonly kept = new Map<string, string>();
  getItem(name: string): string | null {
    return this.kept.get(name) ?? null;
  }
  setItem(name: string, value: string): void {
    this.kept.set(name, value);
  }
}

interface Timer {
  at: number;
  task: () => void;
}

/** `session`: 16 bytes whose first is `first`; keys are fixed. */
export function keyString(first = 0xa0): string {
  const bytes = Buffer.alloc(85);
  bytes[0] = 1;
  bytes.writeUInt32LE(7, 1);
  for (let at = 0; at < 80; at++) bytes[5 + at] = (at === 0 ? first : 0xa0 + at) & 0xff;
  return bytes.toString("base64url");
}

export class FakePage extends EventTarget {
  visibilityState: DocumentVisibilityState = "visible";
  readyState: DocumentReadyState = "complete";
  body = {} as HTMLElement;
}

/** What one device keeps over its pages. */
export class Profile {
  indexedDB: IDBFactory | undefined = new IDBFactory();
  localStorage = new FakeStorage();
  sessionStorage = new FakeStorage();
}

export class FakeWorld {
  time = 1_790_000_000_000;
  readonly server: Server;
  readonly profile: Profile;
  readonly window = new EventTarget();
  readonly document = new FakePage();
  readonly warnings: string[] = [];
  readonly beacons: Buffer[] = [];
  beaconTaken = true;
  private readonly start: number;
  private readonly timers = new Map<number, Timer>();
  private nextTimer = 1;
  private busy = 0;
  private asked = 0;

  constructor(profile = new Profile(), server = new Server(), time?: number) {
    this.profile = profile;
    this.server = server;
    if (time) this.time = time;
    this.start = this.time;
  }

  world(changes: Partial<World> = {}): World {
    return {
      fetch: (input, init) => this.server.fetch(String(input), init ?? {}, this),
      now: () => this.time,
      clock: () => this.time - this.start + 100,
      setTimeout: (task, ms) => {
        this.timers.set(this.nextTimer, { at: this.time + ms, task });
        return this.nextTimer++;
      },
      clearTimeout: (timer) => void this.timers.delete(timer),
      random: () => 0.5,
      randomBytes: (count) => webcrypto.getRandomValues(new Uint8Array(count)),
      subtle: this.counted(webcrypto.subtle as unknown as SubtleCrypto),
      indexedDB: this.countedFactory(),
      localStorage: this.profile.localStorage as unknown as Storage,
      sessionStorage: this.profile.sessionStorage as unknown as Storage,
      locks: undefined,
      beacon: (_, body) => {
        if (this.beaconTaken) void body.arrayBuffer().then((bytes) => this.beacons.push(Buffer.from(bytes)));
        return this.beaconTaken;
      },
      window: this.window,
      document: this.document,
      warn: (sentence) => void this.warnings.push(sentence),
      ...changes,
    };
  }

  /** Lets time pass, timer by timer. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    await this.quiet();
    for (;;) {
      const due = [...this.timers].filter(([, timer]) => timer.at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      this.timers.delete(due[0]);
      this.time = Math.max(this.time, due[1].at);
      due[1].task();
      await this.quiet();
    }
    this.time = end;
    await this.quiet();
  }

  /**
   * Waits until promises, cryptography and the database have nothing more to do: none of the two was at work, nor had
   * been asked anything new, for 30 rounds of the event loop in a row. Other threads' slowness is waited out.
   */
  async quiet(): Promise<void> {
    for (let idle = 0, asked = this.asked; idle < 30; idle++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.busy > 0 || asked !== this.asked) idle = 0;
      asked = this.asked;
    }
  }

  pagehide(): void {
    this.window.dispatchEvent(new Event("pagehide"));
  }

  hide(): void {
    this.document.visibilityState = "hidden";
    this.document.dispatchEvent(new Event("visibilitychange"));
  }

  /** Timers that are set. */
  get waiting(): number {
    return this.timers.size;
  }

  /** Counts a piece of work that other threads or later rounds do; to be called once, what is returned ends it. */
  private begin(): () => void {
    this.busy++;
    this.asked++;
    let ended = false;
    return () => {
      if (!ended) this.busy--;
      ended = true;
    };
  }

  private counted(subtle: SubtleCrypto): SubtleCrypto {
    return new Proxy(subtle, {
      get: (target, name) => {
        const member = Reflect.get(target, name) as (...given: unknown[]) => Promise<unknown>;
        return (...given: unknown[]) => member.apply(target, given).finally(this.begin());
      },
    });
  }

  private countedFactory(): globalThis.IDBFactory | undefined {
    const factory = this.profile.indexedDB as unknown as globalThis.IDBFactory | undefined;
    if (!factory) return undefined;
    return new Proxy(factory, {
      get: (target, name) => (name === "open" ? this.countedOpen(target) : Reflect.get(target, name)),
    });
  }

  private countedOpen(factory: globalThis.IDBFactory): globalThis.IDBFactory["open"] {
    return (name, version) => {
      const request = factory.open(name, version);
      const end = this.begin();
      for (const event of ["error", "blocked"]) request.addEventListener(event, end);
      request.addEventListener("success", () => {
        this.countTransactions(request.result);
        end();
      });
      return request;
    };
  }

  private countTransactions(db: IDBDatabase): void {
    const transaction = db.transaction.bind(db);
    db.transaction = (...given) => {
      const started = transaction(...given);
      const end = this.begin();
      for (const event of ["complete", "abort"]) started.addEventListener(event, end);
      return started;
    };
  }
}

export interface Parked {
  log: Parameters<Parts["watch"]>[0];
  signals: Parameters<Parts["watch"]>[1];
  first: () => void;
  done: () => void;
  unwatched: number;
}

/** Parts of the agent that do what the test says: `parked.first()`, `parked.log(...)`, and so on. */
export function parkedParts(): { parts: Parts; parked: Parked } {
  const parked = { unwatched: 0 } as Parked;
  const parts: Parts = {
    makeScheduler: () => ({ run: (task) => Promise.resolve().then(task) }),
    collect: (_, __, first) =>
      new Promise((resolve) => {
        parked.first = first;
        parked.done = resolve;
      }),
    watch: (log, signals) => {
      parked.log = log;
      parked.signals = signals;
      return () => void parked.unwatched++;
    },
  };
  return { parts, parked };
}

export const options = (first = 0xa0) => ({
  endpoint: "https://collector.example/v1/events",
  token: `header.${Buffer.from("{}").toString("base64url")}.${first}`,
  key: keyString(first),
  transaction: "order-1",
});

/** A page with a started agent. */
export function openPage(fake = new FakeWorld(), changes: Partial<World> = {}, given: object = options()) {
  const { parts, parked } = parkedParts();
  const api = createApi(() => fake.world(changes), parts);
  api.start(given as ReturnType<typeof options>);
  return { fake, api, parked, server: fake.server };
}
