/** Gathers entries of the activity log until it is time for an event. */

import { CODES } from "./catalogue";
import type { Entries } from "./payload";
import type { World } from "./world";

const QUIET_MS = 2_000;
const LONGEST_MS = 10_000;
const ENTRIES = 200;
/** A page that floods the log gets one event a second, of at most this many entries. */
const FLOOD_ENTRIES = 2_000;
const FLOOD_MS = 1_000;

export class Batcher {
  private time: number[] = [];
  private value: number[] = [];
  private code: number[] = [];
  private target: number[] = [];
  private dropped = 0;
  private first = 0;
  private last = 0;
  private lastTaken = -FLOOD_MS;
  private timer: number | undefined;

  /** `due` is called when a batch is to leave. */
  constructor(
    private readonly world: World,
    private readonly due: () => void,
  ) {}

  get length(): number {
    return this.code.length;
  }

  add(code: number, value = 0, target = 0, at = this.world.clock()): void {
    if (this.code.length >= FLOOD_ENTRIES) {
      this.dropped++;
      return;
    }
    this.put(code, value, target, at);
    this.last = this.world.clock();
    if (this.code.length === 1) this.first = this.last;
    this.arm();
  }

  /** Entries that were lost: said in the next event, which leaves for reasons of its own. */
  lost(entries: number): void {
    this.dropped += entries;
  }

  /** All entries, oldest first, at most `most`; what remains is there for the next call. */
  take(most: number): Entries {
    if (this.dropped) this.put(CODES.entries_dropped, this.dropped, 0, this.world.clock());
    this.dropped = 0;
    const entries = {
      time: this.time.splice(0, most),
      value: this.value.splice(0, most),
      code: this.code.splice(0, most),
      target: this.target.splice(0, most),
    };
    this.lastTaken = this.world.clock();
    this.first = this.lastTaken;
    this.disarm();
    if (this.code.length) this.arm();
    return entries;
  }

  disarm(): void {
    if (this.timer !== undefined) this.world.clearTimeout(this.timer);
    this.timer = undefined;
  }

  private put(code: number, value: number, target: number, at: number): void {
    this.time.push(at);
    this.value.push(Number.isFinite(value) ? value : 0);
    this.code.push(code);
    this.target.push(target);
  }

  /** Calls `due` now or sets the timer; a timer that is set is left alone and looks again when it fires. */
  private arm(): void {
    const wait = this.deadline() - this.world.clock();
    if (wait <= 0) {
      this.disarm();
      this.due();
      return;
    }
    if (this.timer !== undefined && this.code.length !== ENTRIES) return;
    this.disarm();
    this.timer = this.world.setTimeout(() => {
      this.timer = undefined;
      if (this.code.length) this.arm();
    }, Math.ceil(wait));
  }

  private deadline(): number {
    if (this.code.length >= ENTRIES) return this.lastTaken + FLOOD_MS;
    return Math.min(this.last + QUIET_MS, this.first + LONGEST_MS);
  }
}
