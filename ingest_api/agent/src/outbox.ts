/**
 * Sealed events of this page on their way out: two requests at most, back-off with full jitter, bounds, and the last
 * call of a page that is being left. Each event is in the backup as well until it is answered for.
 */

import { type Backup, type Kept, surplus } from "./backup";
import { FRAME_HEAD_BYTES, packFrames } from "./frames";
import type { Session } from "./session";
import { beaconHead, leave, post, type Verdict } from "./transport";
import type { World } from "./world";

const MOST_OPEN = 2;
/** What browsers let a page have in flight with `keepalive`, beacons included, is 64 KiB. */
export const REQUEST_BYTES = 60_000;
const MOST_EVENTS = 50;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
const FLUSH_MS = 10_000;

interface Item extends Kept {
  session: Session;
  bytes: number;
  /** `left`: handed over as a beacon, so that nobody will say what became of it. */
  state: "waiting" | "signing" | "sending" | "left";
}

export interface OutboxHooks {
  /** Entries of the activity log that are gone for good. */
  lost(entries: number): void;
  /** The server takes events of this session no longer. */
  expired(session: Session): void;
  /** The server's clock, in Unix ms, where this device's is so far from it that nothing is taken. */
  clock(serverNow: number): void;
  /** The server answered: it is worth sending what earlier pages left. */
  answered(): void;
}

export class Outbox {
  private items: Item[] = [];
  private open = 0;
  private inFlight = 0;
  private failures = 0;
  private notBefore = 0;
  private serverWait = 0;
  private mostEvents = MOST_EVENTS;
  private timer: number | undefined;
  private idle: (() => void)[] = [];

  constructor(
    private readonly world: World,
    private readonly backup: Backup,
    private readonly hooks: OutboxHooks,
  ) {}

  owns(id: string): boolean {
    return this.items.some((item) => item.id === id);
  }

  /** Whether a request for earlier pages' events would stand in nobody's way. */
  get free(): boolean {
    return this.open === 0 && this.failures === 0 && !this.items.some((item) => item.state === "waiting");
  }

  /** Counts a request made elsewhere among those that are open. */
  async within<T>(request: () => Promise<T>): Promise<T> {
    this.open++;
    try {
      return await request();
    } finally {
      this.open--;
      this.pump();
    }
  }

  /** Takes an event; it leaves with the next `pump`. */
  add(event: Kept, session: Session): void {
    if (session.closed) return this.hooks.lost(event.entries);
    this.items.push({ ...event, session, bytes: event.sealed.length, state: "waiting" });
    void this.backup.keep(event, session).then((gone) => {
      const others = (gone ?? []).filter((row) => !this.owns(row.id));
      if (others.length) this.hooks.lost(others.reduce((sum, row) => sum + row.entries, 0));
    });
    this.lose(surplus(this.items, this.world.now()));
  }

  /**
   * Sends what is waiting, as far as slots and back-off allow. `atOnce` waits for no promise before the request is
   * made, for a page that may be about to go.
   */
  pump(atOnce = false): void {
    this.disarm();
    for (;;) {
      const batch = this.next();
      const wait = this.notBefore - this.world.now();
      if (!batch.length || this.open >= (this.failures ? 1 : MOST_OPEN)) break;
      if (wait > 0) {
        this.timer = this.world.setTimeout(() => this.pump(), wait);
        break;
      }
      this.send(batch, atOnce).catch(() => undefined);
    }
    this.settle();
  }

  /** Resolves once nothing is on its way any more, or sending has to wait, or patience is over. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.world.setTimeout(resolve, FLUSH_MS);
      this.idle.push(() => {
        this.world.clearTimeout(timer);
        resolve();
      });
      this.pump();
    });
  }

  /** The page is being left: the newest events first, as beacons, as long as the browser takes them. */
  leave(): void {
    this.disarm();
    let left = this.items.filter((item) => item.state === "waiting" || item.state === "signing");
    while (left.length) {
      const { session } = left[left.length - 1]!;
      const batch = fitting(
        left.filter((item) => item.session === session).reverse(),
        REQUEST_BYTES - beaconHead(session),
      ).reverse();
      const frames = packFrames(batch.map((item) => item.sealed));
      if (!leave(this.world, session, frames, session.signNow(frames, this.world.now()))) break;
      for (const item of batch) item.state = "left";
      left = left.filter((item) => item.state !== "left");
    }
  }

  /** The page is back, or the network is: what had no answer is sent again, and soon. */
  resume(): void {
    for (const item of this.items) if (item.state === "left") item.state = "waiting";
    const soon = this.world.now() + this.world.random() * FIRST_WAIT_MS;
    this.notBefore = Math.max(this.serverWait, Math.min(this.notBefore, soon));
    this.pump();
  }

  private next(): Item[] {
    const waiting = this.items.filter((item) => item.state === "waiting");
    return fitting(
      waiting.filter((item) => item.session === waiting[0]?.session),
      REQUEST_BYTES,
      this.mostEvents,
    );
  }

  private async send(batch: Item[], atOnce: boolean): Promise<void> {
    const { session } = batch[0]!;
    const frames = packFrames(batch.map((item) => item.sealed));
    const now = this.world.now();
    this.open++;
    mark(batch, "waiting", "signing");
    const signature = atOnce ? session.signNow(frames, now) : await session.sign(frames, now);
    if (batch.some((item) => item.state !== "signing")) {
      this.open--; // the page was left meanwhile
      mark(batch, "signing", "waiting");
      return;
    }
    mark(batch, "signing", "sending");
    const keepalive = this.inFlight + frames.length <= REQUEST_BYTES;
    if (keepalive) this.inFlight += frames.length;
    const verdict = await post(this.world, session, frames, signature, keepalive);
    if (keepalive) this.inFlight -= frames.length;
    this.open--;
    this.apply(batch, session, verdict);
    this.pump();
    if (verdict.kind === "answered") this.hooks.answered();
  }

  private apply(batch: Item[], session: Session, verdict: Verdict): void {
    switch (verdict.kind) {
      case "answered": {
        if (verdict.outcomes.length !== batch.length) return this.again(batch, 0);
        this.forget(batch.filter((_, at) => verdict.outcomes[at] !== "retry"));
        if (verdict.outcomes.includes("expired")) this.hooks.expired(session);
        const retry = batch.filter((_, at) => verdict.outcomes[at] === "retry");
        if (retry.length) return this.again(retry, verdict.waitMs);
        this.failures = 0;
        this.notBefore = 0;
        this.mostEvents = Math.min(MOST_EVENTS, this.mostEvents + 1);
        return;
      }
      case "stale":
        this.hooks.clock(verdict.serverNow);
        return this.again(batch, 0);
      case "later":
        return this.again(batch, verdict.waitMs);
      case "refused":
        session.closed = true;
        this.lose(this.items.filter((item) => item.session === session));
        return this.hooks.expired(session);
      case "smaller":
        this.mostEvents = Math.max(1, batch.length >> 1);
        return batch.length > 1 ? mark(batch, "sending", "waiting") : this.lose(batch);
      case "never":
        return this.lose(batch);
    }
  }

  /** Puts events back and waits: as long as the server says, and then anything up to a bound that doubles. */
  private again(batch: Item[], waitMs: number): void {
    mark(batch, "sending", "waiting");
    const bound = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(this.failures++, 10));
    this.serverWait = Math.max(this.serverWait, this.world.now() + waitMs);
    this.notBefore = Math.max(this.notBefore, this.world.now() + waitMs + this.world.random() * bound);
  }

  private lose(items: readonly Item[]): void {
    if (!items.length) return;
    this.hooks.lost(items.reduce((sum, item) => sum + item.entries, 0));
    this.forget(items);
  }

  private forget(items: readonly Item[]): void {
    if (!items.length) return;
    const gone = new Set<Item>(items);
    this.items = this.items.filter((item) => !gone.has(item));
    void this.backup.forget(items.map((item) => item.id));
  }

  private settle(): void {
    const busy = this.items.some((item) => item.state === "signing" || item.state === "sending");
    const due = this.notBefore <= this.world.now() && this.items.some((item) => item.state === "waiting");
    if (busy || due) return;
    for (const done of this.idle.splice(0)) done();
  }

  private disarm(): void {
    if (this.timer !== undefined) this.world.clearTimeout(this.timer);
    this.timer = undefined;
  }
}

function mark(batch: readonly Item[], from: Item["state"], to: Item["state"]): void {
  for (const item of batch) if (item.state === from) item.state = to;
}

/** The first of these that fit into a body of this many bytes, at least one. */
export function fitting<T extends { sealed: Uint8Array }>(items: readonly T[], bytes: number, most = Infinity): T[] {
  let room = bytes;
  const end = items.findIndex((item, at) => (room -= item.sealed.length + FRAME_HEAD_BYTES) < 0 && at > 0);
  return items.slice(0, Math.min(end < 0 ? items.length : end, most));
}
