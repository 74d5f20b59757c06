/** Watches one session's page: collects, gathers, seals, and hands the events to the outbox. */

import { Batcher } from "./batcher";
import { type Bytes, hex, view } from "./bytes";
import { CODES } from "./catalogue";
import type { Device } from "./device";
import { checkCredential, type Checked } from "./options";
import type { Outbox } from "./outbox";
import { entriesIn, SignalTable } from "./payload";
import { NONCE_BYTES, OVERHEAD_BYTES, packHeader } from "./seal";
import { Session } from "./session";
import type { Collect, Log, Scheduler, Watch } from "./types";
import type { World } from "./world";

/** The first event leaves by then, whatever the browser is busy with. */
const FIRST_MS = 1_200;
const BODY_MS = 1_000;
const EVENT_BYTES = 65_536;
const RENEW_AHEAD_MS = 60_000;
const RENEW_PAUSE_MS = 30_000;
const RENEW_MS = 10_000;
const MOST_FAILURES = 3;

/** The parts that look at the page. */
export interface Parts {
  collect: Collect;
  makeScheduler(stopped: () => boolean): Scheduler;
  watch: Watch;
}

/** What all agents of a page share. */
export interface Shared {
  world: World;
  device: Device;
  outbox: Outbox;
  /** Is told the id of every event. */
  sealed(id: string): void;
}

/** An event that is not sealed yet. */
interface Pending {
  session: Session;
  id: Bytes;
  sequence: number;
  sentAt: number;
  body: Bytes;
  entries: number;
}

export class Agent {
  session: Session;
  stopped = false;
  private readonly table = new SignalTable();
  private readonly batcher: Batcher;
  private readonly pending = new Map<Pending, Promise<void>>();
  private unwatch: () => void = () => undefined;
  private sentChanges = -1;
  private firstSent = false;
  private failures = 0;
  private renewing: Promise<void> | undefined;
  private renewNotBefore = 0;

  constructor(
    private readonly shared: Shared,
    private readonly options: Checked,
    private readonly parts: Parts,
  ) {
    this.session = new Session(shared.world, options, options.parsedKey);
    this.batcher = new Batcher(shared.world, () => this.cut());
  }

  readonly log: Log = (code, value, target, at) => {
    if (!this.stopped) this.batcher.add(code, value, target, at);
  };

  start(): void {
    const { world } = this.shared;
    try {
      this.unwatch = this.parts.watch(this.log, this.table, this.options);
    } catch {
      this.failed();
    }
    world.setTimeout(() => this.first(), FIRST_MS);
    this.whenBody(() => void this.collect());
  }

  /** Entries that were lost: said in the next event. */
  lost(entries: number): void {
    this.batcher.lost(entries);
  }

  /** Seals what is new. `atOnce`: nothing waits for a promise, since the page may be about to go. */
  cut(atOnce = false): void {
    if (this.session.closed) return void this.renew();
    if (this.expiresSoon()) void this.renew();
    do this.seal(atOnce);
    while (atOnce && this.batcher.length);
  }

  /** Seals what is new, if anything is, and all that was still to be sealed. */
  hurry(): void {
    if (!this.stopped && this.news()) this.cut(true);
    for (const one of [...this.pending.keys()]) this.sealNow(one);
  }

  /** Seals what is new, if anything is; resolves once all is sealed. */
  async settled(): Promise<void> {
    if (!this.stopped && this.news()) this.cut();
    await this.renewing;
    await Promise.all(this.pending.values());
  }

  stop(): void {
    if (this.stopped) return;
    if (this.news()) this.cut();
    this.stopped = true;
    this.batcher.disarm();
    this.unwatch();
  }

  /** The server takes events of this session no longer. */
  expired(session: Session): void {
    session.closed = true;
    if (session !== this.session) return;
    if (this.options.renew) void this.renew();
    else this.stop();
  }

  /** Something of ours broke: the page must not notice, operations should. */
  failed(): void {
    if (this.failures++ < MOST_FAILURES) this.log(CODES.agent_failed);
  }

  private news(): boolean {
    return this.batcher.length > 0 || this.table.changes !== this.sentChanges;
  }

  /** Collectors need a body to work in; a page that takes long for it gets them without. */
  private whenBody(task: () => void): void {
    const { world } = this.shared;
    if (world.document.body) return task();
    let begun = false;
    const begin = (): void => {
      if (begun) return;
      begun = true;
      world.document.removeEventListener("DOMContentLoaded", begin);
      task();
    };
    world.document.addEventListener("DOMContentLoaded", begin);
    world.setTimeout(begin, BODY_MS);
  }

  private async collect(): Promise<void> {
    if (this.stopped) return;
    try {
      const scheduler = this.parts.makeScheduler(() => this.stopped);
      await this.parts.collect(this.table, scheduler, () => this.first());
    } catch {
      this.failed();
    }
    this.first();
    if (!this.stopped && this.news()) this.cut();
  }

  private first(): void {
    if (this.firstSent || this.stopped) return;
    this.firstSent = true;
    this.cut();
  }

  private seal(atOnce: boolean): void {
    const { world } = this.shared;
    const entries = this.batcher.take(entriesIn(EVENT_BYTES - OVERHEAD_BYTES));
    this.sentChanges = this.table.changes;
    const sentAt = world.now();
    const one: Pending = {
      session: this.session,
      id: sortableId(sentAt, world.randomBytes(16)),
      sequence: this.session.nextSequence(),
      sentAt,
      body: this.table.encode(entries),
      entries: entries.code.length,
    };
    this.shared.sealed(hex(one.id));
    if (atOnce) this.sealNow(one);
    else this.pending.set(one, this.sealSoon(one));
  }

  private async sealSoon(one: Pending): Promise<void> {
    const { world, device, outbox } = this.shared;
    const { sealer, deflate } = one.session;
    await device.ready;
    if (!this.pending.has(one)) return;
    const sealed = await sealer.seal(this.header(one), one.body, world.randomBytes(NONCE_BYTES), deflate);
    if (!this.pending.delete(one)) return; // the page was left meanwhile, and it went without waiting
    outbox.add({ id: hex(one.id), sealed, entries: one.entries, at: one.sentAt }, one.session);
    outbox.pump();
  }

  private sealNow(one: Pending): void {
    this.pending.delete(one);
    const { world, outbox } = this.shared;
    const sealed = one.session.sealer.sealNow(this.header(one), one.body, world.randomBytes(NONCE_BYTES));
    outbox.add({ id: hex(one.id), sealed, entries: one.entries, at: one.sentAt }, one.session);
  }

  private header(one: Pending): Bytes {
    const { keyId, sessionId } = one.session;
    const { sequence, sentAt } = one;
    return packHeader({ keyId, sessionId, deviceId: this.shared.device.id(), eventId: one.id, sequence, sentAt });
  }

  private expiresSoon(): boolean {
    const { expiresAt } = this.session;
    return !!this.options.renew && expiresAt !== undefined && this.shared.world.now() > expiresAt - RENEW_AHEAD_MS;
  }

  /** Asks the page for a new session; entries wait for it where the present one has ended. */
  private renew(): Promise<void> {
    const { world } = this.shared;
    const { renew } = this.options;
    if (this.renewing) return this.renewing;
    if (!renew || this.stopped || world.now() < this.renewNotBefore) return Promise.resolve();
    this.renewNotBefore = world.now() + RENEW_PAUSE_MS;
    const patience = new Promise<undefined>((resolve) => {
      world.setTimeout(() => resolve(undefined), RENEW_MS);
    });
    this.renewing = Promise.race([Promise.resolve().then(renew), patience])
      .then((given) => this.use(checkCredential(given)))
      .catch(() => undefined) // the page's own function failed: asked again with a later event
      .finally(() => (this.renewing = undefined));
    return this.renewing;
  }

  private use(credential: ReturnType<typeof checkCredential>): void {
    if (typeof credential === "string" || this.stopped) return;
    const waited = this.session.closed;
    this.session = new Session(this.shared.world, { ...this.options, token: credential.token }, credential.parsedKey);
    if (waited && this.news()) this.cut();
  }
}

/** 16 bytes that sort by time: 48 bits of Unix ms, then random ones, marked as a UUID of version 7 (RFC 9562). */
export function sortableId(now: number, random: Bytes): Bytes {
  const out = view(random);
  out.setUint16(0, Math.floor(now / 2 ** 32) & 0xffff);
  out.setUint32(2, now >>> 0);
  random[6] = 0x70 | (random[6]! & 0x0f);
  random[8] = 0x80 | (random[8]! & 0x3f);
  return random;
}
