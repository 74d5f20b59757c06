/** The page as the subjects hear it: one listener a type of event, and a tick a second while there is something to say. */

import { CODES } from "../catalogue";
import { classify } from "../masking/fields";
import type { Log, Signals, Watch } from "../types";
import { ignoring } from "./ignore";
import { paced } from "./pace";

type Events = WindowEventMap & DocumentEventMap;
type Handler<E extends Event> = (event: E, element: Element | undefined) => void;
type Task = () => void;

const TICK_MS = 1_000;
const LISTENING = { capture: true, passive: true } as const;
/** Pages fire these themselves to have something laid out anew or to tell their own parts: that says nothing. */
const PAGES_OWN = new Set(["scroll", "resize", "error", "popstate", "pageshow", "pagehide", "visibilitychange", "reset"]);

/**
 * Listeners are passive and capturing, on `window`; what they throw ends here. Handlers hear of trusted events on
 * elements that are not ignored; untrusted ones are only counted.
 */
export class Page {
  readonly note: Log;
  readonly ignored: (element: Element) => boolean;
  /** When a key, a pointer or a submit was last seen, ms; -Infinity before the first. */
  readonly last = { key: -Infinity, click: -Infinity, submit: -Infinity };

  private readonly handlers = new Map<string, Handler<Event>[]>();
  private readonly untrusted: ((element: Element | undefined) => void)[] = [];
  private readonly endings: Task[] = [];
  private readonly waiting = new Set<Task>();
  private readonly timers = new Set<number>();
  private readonly summarise: Task;
  private ticking = false;

  constructor(
    log: Log,
    readonly signals: Signals,
    readonly options: Parameters<Watch>[2],
  ) {
    const pace = paced(log, () => this.soon(this.summarise));
    this.note = pace.note;
    this.summarise = pace.summarise;
    this.ignored = ignoring(options.ignore);
  }

  /** Calls the handler for every trusted event of a type. `element` is absent for the window's and document's own. */
  on<K extends keyof Events>(type: K, handler: Handler<Events[K]>): void {
    const handlers = this.handlers.get(type);
    if (handlers) {
      handlers.push(handler as unknown as Handler<Event>);
      return;
    }
    const all = [handler as unknown as Handler<Event>];
    this.handlers.set(type, all);
    const counted = !PAGES_OWN.has(type);
    this.listen(window, type, (event) => {
      const element = elementOf(event);
      if (element && this.ignored(element)) return;
      if (!event.isTrusted) {
        if (counted) for (const each of this.untrusted) each(element);
        return;
      }
      for (const each of all) {
        try {
          each(event, element);
        } catch {
          this.fail();
        }
      }
    });
  }

  /** Calls the handler for every event that a script made, of the types that are listened to and are a person's. */
  onUntrusted(handler: (element: Element | undefined) => void): void {
    this.untrusted.push(handler);
  }

  /** Listens to something else than the page's events. Returns how to stop; `stop` does so too. */
  listen(target: EventTarget, type: string, listener: (event: Event) => void): Task {
    const guarded = (event: Event): void => this.guard(() => listener(event));
    target.addEventListener(type, guarded, LISTENING);
    const end = (): void => target.removeEventListener(type, guarded, LISTENING);
    this.endings.push(end);
    return end;
  }

  /** Runs a task at the next tick, at most a second from now, and once however often it is asked for until then. */
  soon(task: Task): void {
    this.waiting.add(task);
    if (this.ticking) return;
    this.ticking = true;
    this.later(() => {
      this.ticking = false;
      this.flush();
    }, TICK_MS);
  }

  /** Runs what waits for the next tick now. */
  flush(): void {
    const tasks = [...this.waiting];
    this.waiting.clear();
    for (const task of tasks) this.guard(task);
  }

  /** Runs a task after `ms`; returns how to call it off. */
  later(task: Task, ms: number): Task {
    const timer = window.setTimeout(() => {
      this.timers.delete(timer);
      this.guard(task);
    }, ms);
    this.timers.add(timer);
    return () => {
      this.timers.delete(timer);
      window.clearTimeout(timer);
    };
  }

  /** Has a task done when watching ends. */
  atEnd(task: Task): void {
    this.endings.push(task);
  }

  /** The class of an element, `document` where there is none. */
  target(element: Element | undefined): number {
    return classify(element ?? document.documentElement);
  }

  /** Runs a task; what it throws is an entry, and never the page's. */
  guard(task: Task): void {
    try {
      task();
    } catch {
      this.fail();
    }
  }

  /** Logs what was still waiting, then lets go of the page. */
  stop(): void {
    this.flush();
    for (const end of this.endings.splice(0)) this.guard(end);
    for (const timer of this.timers) window.clearTimeout(timer);
    this.timers.clear();
  }

  private fail(): void {
    try {
      this.note(CODES.agent_failed);
    } catch {
      // The log itself is what failed: there is nowhere left to say so, and the page must not hear of it.
    }
  }
}

/** The innermost element of an event, within open shadow trees too. */
function elementOf(event: Event): Element | undefined {
  const target = event.target as Partial<Element> | null;
  const inner = target?.shadowRoot ? (event.composedPath()[0] as Partial<Element>) : target;
  return inner?.nodeType === 1 ? (inner as Element) : undefined;
}
