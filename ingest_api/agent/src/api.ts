/** What a page calls. Whatever happens behind it, nothing is ever thrown into the page. */

import { Agent, type Parts, type Shared } from "./agent";
import { Backup } from "./backup";
import { CODES } from "./catalogue";
import { Device } from "./device";
import { Drain } from "./drain";
import { checkOptions } from "./options";
import { Outbox } from "./outbox";
import type * as Public from "./public";
import type { World } from "./world";

export type Clickgoose = Omit<typeof Public, "version">;

const MOST_IDS = 1_000;
const MARKS = new Map<unknown, number>([
  ["payment_succeeded", CODES.payment_succeeded],
  ["payment_declined", CODES.payment_declined],
  ["form_step", CODES.form_step],
]);

/** The API in a world that is only looked for once it is needed: importing the agent does nothing. */
export function createApi(findWorld: () => World | undefined, parts: Parts): Clickgoose {
  let page: Page | undefined;
  const guarded = <T>(task: () => T): T | undefined => {
    try {
      return task();
    } catch {
      page?.agent?.failed();
      return undefined;
    }
  };
  return {
    start: (options) =>
      void guarded(() => {
        const world = page?.world ?? findWorld();
        if (!world) return;
        const checked = checkOptions(options);
        if (typeof checked === "string") return world.warn(checked);
        page ??= new Page(world, guarded);
        page.start(checked, parts);
      }),
    flush: async () => {
      try {
        await page?.flush();
      } catch {
        page?.agent?.failed();
      }
      return page?.ids[page.ids.length - 1];
    },
    mark: (code, value) => void guarded(() => page?.mark(code, value)),
    stop: () => void guarded(() => page?.agent?.stop()),
    lastEventId: () => page?.ids[page.ids.length - 1],
    eventIds: () => [...(page?.ids ?? [])],
  };
}

/** What lives as long as the page, over restarts of the agent. */
class Page {
  agent: Agent | undefined;
  ids: string[] = [];
  private options: { token: string; key: string } | undefined;
  private readonly shared: Shared;
  private readonly backup: Backup;
  private unlisten: () => void = () => undefined;

  readonly world: World;
  /** Ms by which this device's clock is behind the server's, where it matters. */
  private behind = 0;

  constructor(
    found: World,
    private readonly guarded: <T>(task: () => T) => T | undefined,
  ) {
    const world: World = {
      ...found,
      now: () => found.now() + this.behind,
      setTimeout: (task, ms) => found.setTimeout(() => guarded(task), ms),
    };
    this.world = world;
    this.backup = new Backup(world);
    const lost = (entries: number): void => this.agent?.lost(entries);
    const outbox = new Outbox(world, this.backup, {
      lost,
      expired: (session) => this.agent?.expired(session),
      clock: (serverNow) => (this.behind = serverNow - found.now()),
      answered: () => void drain.run(),
    });
    const drain = new Drain(world, this.backup, outbox, lost);
    const sealed = (id: string): void => {
      this.ids = [...this.ids.slice(1 - MOST_IDS), id];
    };
    this.shared = { world, device: new Device(world, this.backup), outbox, sealed };
  }

  start(options: Parameters<typeof checkOptions>[0] & { token: string; key: string }, parts: Parts): void {
    const same = this.options?.token === options.token && this.options.key === options.key;
    if (this.agent && !this.agent.stopped && same) return;
    this.agent?.stop();
    this.options = options;
    this.agent = new Agent(this.shared, options as ConstructorParameters<typeof Agent>[1], parts);
    this.agent.start();
    this.listen(); // behind the listeners of `watch`, whose last entries belong into the last event
  }

  async flush(): Promise<void> {
    await this.agent?.settled();
    await this.shared.outbox.flushed();
  }

  mark(code: unknown, value: unknown): void {
    const named = MARKS.get(code);
    const number = typeof value === "number" && Number.isFinite(value) ? value : 0;
    if (named) this.agent?.log(named, number);
    else if (typeof code === "number" && Number.isFinite(code)) this.agent?.log(CODES.merchant_mark, code);
    else this.world.warn(`mark() takes a number or one of ${[...MARKS.keys()].join(", ")}; nothing is noted.`);
  }

  private listen(): void {
    this.unlisten();
    const { window, document } = this.world;
    const { outbox } = this.shared;
    const wanted: [EventTarget, string, () => void][] = [
      [window, "pagehide", () => {
        this.agent?.hurry();
        outbox.leave();
      }],
      [document, "visibilitychange", () => {
        if (document.visibilityState !== "hidden") return;
        this.agent?.hurry();
        outbox.pump(true);
      }],
      [window, "pageshow", () => outbox.resume()],
      [window, "online", () => outbox.resume()],
    ];
    const bound = wanted.map(([target, type, task]) => {
      const listener = (): void => void this.guarded(task);
      target.addEventListener(type, listener);
      return () => target.removeEventListener(type, listener);
    });
    this.unlisten = () => bound.forEach((remove) => remove());
  }
}
