/** Sends what earlier pages of this origin could not, one tab at a time and never in the way of this page's own. */

import type { Backup, Left } from "./backup";
import { packFrames } from "./frames";
import type { Outbox } from "./outbox";
import { REQUEST_BYTES } from "./outbox";
import { post } from "./transport";
import { attempt, type World } from "./world";

const LOCK = "clickgoose.drain";
/** Younger events belong to a page that may still be waiting for their answer. */
const YOUNG_MS = 10_000;
const PAUSE_MS = 30_000;

export class Drain {
  private running = false;
  private notBefore = 0;

  constructor(
    private readonly world: World,
    private readonly backup: Backup,
    private readonly outbox: Outbox,
    private readonly lost: (entries: number) => void,
  ) {}

  /** Called where the server has just answered. Does nothing where another tab is at it, or it was done lately. */
  async run(): Promise<void> {
    if (this.running || this.world.now() < this.notBefore) return;
    this.running = true;
    this.notBefore = this.world.now() + PAUSE_MS;
    try {
      const gone = (await this.backup.expire()) ?? [];
      this.report(gone);
      await this.alone(async () => {
        while (this.outbox.free && (await this.round()));
      });
    } catch {
      // The backup keeps what is left; the next answer of the server is the next occasion.
    } finally {
      this.running = false;
    }
  }

  private async alone(task: () => Promise<void>): Promise<void> {
    const { locks } = this.world;
    const locked = attempt(() => locks?.request(LOCK, { ifAvailable: true }, (lock) => (lock ? task() : undefined)));
    await (locked ?? task());
  }

  /** Sends one request's worth; tells whether there may be more. */
  private async round(): Promise<boolean> {
    const mine = (id: string): boolean => this.outbox.owns(id);
    const left = await this.backup.left(mine, this.world.now() - YOUNG_MS, REQUEST_BYTES);
    if (!left?.events.length || !this.outbox.free) return false;
    const frames = packFrames(left.events.map((event) => event.sealed));
    const signature = await left.channel.sign(frames, this.world.now());
    const verdict = await this.outbox.within(() => post(this.world, left.channel, frames, signature, false));
    if (verdict.kind === "answered" && verdict.outcomes.length === left.events.length) {
      const { outcomes } = verdict;
      await this.forget(left.events.filter((_, at) => outcomes[at] !== "retry"));
      return !outcomes.includes("retry");
    }
    if (verdict.kind === "refused" || verdict.kind === "never") return this.giveUp(left);
    return false;
  }

  private async giveUp(left: Left): Promise<boolean> {
    this.report(left.events);
    await this.forget(left.events);
    return true;
  }

  private async forget(events: Left["events"]): Promise<void> {
    await this.backup.forget(events.map((event) => event.id));
  }

  private report(gone: readonly { entries: number }[]): void {
    const entries = gone.reduce((sum, one) => sum + one.entries, 0);
    if (entries) this.lost(entries);
  }
}
