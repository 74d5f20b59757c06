/** A page of jsdom in which events are trusted, time stands still, and whoever reads what was typed is found out. */

import { createRequire } from "node:module";
import { CODES, TARGETS } from "../src/catalogue";
import type { Options } from "../src/types";

const require = createRequire(import.meta.url);
const { JSDOM } = require("jsdom") as { JSDOM: new (html: string, options: object) => { window: Window & typeof globalThis } };
/** jsdom makes every event of `dispatchEvent` untrusted; its own go this way. */
const { implForWrapper } = require("jsdom/lib/jsdom/living/generated/utils.js") as {
  implForWrapper(wrapper: object): { isTrusted: boolean; timeStamp: number; _dispatch(event: object): void };
};

/** Whatever tells what was typed, pasted or dropped, and which key was pressed. */
const FORBIDDEN: Record<string, string[]> = {
  HTMLInputElement: ["value", "valueAsNumber", "valueAsDate", "defaultValue", "files"],
  HTMLTextAreaElement: ["value", "defaultValue", "textLength"],
  HTMLSelectElement: ["value", "selectedIndex", "selectedOptions"],
  HTMLElement: ["innerText", "outerText"],
  Element: ["innerHTML", "outerHTML"],
  Node: ["textContent"],
  KeyboardEvent: ["key", "code", "keyCode", "charCode", "location", "shiftKey", "ctrlKey", "altKey", "metaKey"],
  UIEvent: ["which"],
  InputEvent: ["data", "inputType", "dataTransfer"],
  CompositionEvent: ["data"],
  Event: ["clipboardData", "dataTransfer"],
};
const CODE_NAMES = new Map(Object.entries(CODES).map(([name, code]) => [code as number, name]));
const TARGET_NAMES = new Map(Object.entries(TARGETS).map(([name, target]) => [target as number, name]));

export interface Noted {
  code: string;
  value: number | undefined;
  target: string;
  at: number | undefined;
}

export class Dom {
  readonly window: Window & typeof globalThis;
  readonly document: Document;
  readonly noted: Noted[] = [];
  readonly signals = new Map<string, unknown>();
  readonly reads: string[] = [];
  readonly warnings: unknown[] = [];
  readonly autofilled = new Set<Element>();
  readonly listening = new Set<string>();
  /** Handed to the agent's PerformanceObserver. */
  resources: (entries: object[]) => void = () => undefined;
  now = 1_000;
  private timers = new Map<number, { task: () => void; at: number }>();
  private lastTimer = 0;

  constructor(body: string, url = "https://shop.example/checkout") {
    this.window = new JSDOM(`<!doctype html><title>Pay</title><body>${body}</body>`, { url, pretendToBeVisual: true }).window;
    this.document = this.window.document;
    Object.defineProperty(this.document, "readyState", { value: "complete", configurable: true });
    this.time();
    this.selectors();
    this.trap();
    this.count();
    Object.assign(globalThis, { window: this.window, document: this.document, location: this.window.location });
  }

  readonly log = (code: number, value?: number, target = 0, at?: number): void => {
    this.noted.push({ code: CODE_NAMES.get(code) ?? "?", value, target: TARGET_NAMES.get(target) ?? "?", at });
  };

  readonly taking = {
    number: (name: string, value: unknown): void => void this.signals.set(name, value),
    boolean: (name: string, value: unknown): void => void this.signals.set(name, value),
    category: (name: string, value: unknown): void => void this.signals.set(name, value),
    text: (name: string, value: unknown): void => void this.signals.set(name, value),
  };

  readonly options: Pick<Options, "ignore" | "endpoint"> = { endpoint: "https://shop.example/v1/events" };

  /** The element of an id, also within open shadow trees. */
  get(id: string, root: ParentNode = this.document): HTMLInputElement {
    const found = root.querySelector(`#${id}`);
    if (found) return found as HTMLInputElement;
    for (const host of root.querySelectorAll("*")) {
      if (host.shadowRoot?.querySelector(`#${id}`)) return this.get(id, host.shadowRoot);
    }
    throw new Error(`no #${id}`);
  }

  /** Entries of some codes as `code value target`. */
  entries(...codes: (keyof typeof CODES)[]): string[] {
    const wanted = this.noted.filter((entry) => !codes.length || (codes as string[]).includes(entry.code));
    return wanted.map(({ code, value, target }) => `${code} ${value ?? "-"} ${target}`);
  }

  /** A trusted event, `ms` later. */
  fire(target: EventTarget, type: string, init: Record<string, unknown> = {}, ms = 0): Event {
    this.now += ms;
    const kind = /^key/.test(type) ? "KeyboardEvent" : /input$/.test(type) ? "InputEvent" : /^pointer|^click$/.test(type) ? "MouseEvent" : "Event";
    const event = new this.window[kind](type, { bubbles: !/^(?:focus|blur)$/.test(type), composed: type !== "change", cancelable: true, ...init });
    for (const [name, value] of Object.entries(init)) {
      if (!(name in event)) Object.defineProperty(event, name, { value, configurable: true });
    }
    const inner = implForWrapper(event);
    inner.isTrusted = true;
    inner.timeStamp = this.now;
    implForWrapper(target)._dispatch(inner);
    return event;
  }

  /** Lets time go by, and what waits for it happen. */
  advance(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const due = [...this.timers].filter(([, timer]) => timer.at <= until).sort((one, other) => one[1].at - other[1].at)[0];
      if (!due) break;
      this.timers.delete(due[0]);
      this.now = Math.max(this.now, due[1].at);
      due[1].task();
    }
    this.now = until;
  }

  get waiting(): number {
    return this.timers.size;
  }

  /** One key that writes, and the text that it makes; the caret ends behind it. */
  key(field: HTMLInputElement, text: string, ms = 100): void {
    this.fire(field, "keydown", { key: text.at(-1), repeat: false }, ms);
    this.fire(field, "keypress", { key: text.at(-1) });
    this.set(field, text);
    this.fire(field, "input", { data: text.at(-1) });
    this.fire(field, "keyup", { key: text.at(-1) }, 10);
  }

  /** As a script, or the browser itself, sets a value. */
  set(field: HTMLInputElement, text: string): void {
    field.value = text;
  }

  private time(): void {
    this.window.setTimeout = ((task: () => void, ms = 0) => {
      this.timers.set(++this.lastTimer, { task, at: this.now + ms });
      return this.lastTimer;
    }) as typeof this.window.setTimeout;
    this.window.clearTimeout = (timer) => void this.timers.delete(timer as number);
    const performance = { now: () => this.now, getEntriesByType: () => [] };
    const observers = this;
    class PerformanceObserver {
      static supportedEntryTypes = ["resource"];
      constructor(private readonly tell: (list: object) => void) {}
      observe(): void {
        observers.resources = (entries) => this.tell({ getEntries: () => entries });
      }
      disconnect(): void {
        observers.resources = () => undefined;
      }
    }
    for (const [name, value] of Object.entries({ performance, PerformanceObserver })) {
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    }
    globalThis.console = { ...globalThis.console, warn: (...sentence: unknown[]) => void this.warnings.push(...sentence) };
  }

  /** What jsdom's selectors lack, or find out by reading the value in the page's own world. */
  private selectors(): void {
    const { matches } = this.window.Element.prototype;
    const value = Object.getOwnPropertyDescriptor(this.window.HTMLInputElement.prototype, "value")!.get!;
    const { autofilled } = this;
    this.window.Element.prototype.matches = function (this: Element, selector: string) {
      if (selector === ":autofill") return autofilled.has(this);
      if (selector === ":placeholder-shown") return value.call(this) === "";
      return matches.call(this, selector);
    } as typeof matches;
    (globalThis as { CSS?: object }).CSS = { supports: () => true };
  }

  private trap(): void {
    for (const [name, properties] of Object.entries(FORBIDDEN)) {
      const { prototype } = (this.window as unknown as Record<string, { prototype: object }>)[name]!;
      for (const property of properties) {
        const { set } = Object.getOwnPropertyDescriptor(prototype, property) ?? {};
        const get = (): never => {
          this.reads.push(`${name}.${property}`);
          throw new Error(`${name}.${property} was read`);
        };
        Object.defineProperty(prototype, property, { get, set, configurable: true });
      }
    }
    const { getAttribute } = this.window.Element.prototype;
    const { reads } = this;
    this.window.Element.prototype.getAttribute = function (this: Element, name: string) {
      if (name === "value") reads.push("attribute value"); // some frameworks keep what was typed there
      return getAttribute.call(this, name);
    };
  }

  private count(): void {
    const { listening } = this;
    const { addEventListener, removeEventListener } = this.window.EventTarget.prototype;
    this.window.addEventListener = function (this: Window, type: string, ...rest: never[]) {
      listening.add(type);
      (addEventListener as (...all: unknown[]) => void).call(this, type, ...rest);
    } as typeof addEventListener;
    this.window.removeEventListener = function (this: Window, type: string, ...rest: never[]) {
      listening.delete(type);
      (removeEventListener as (...all: unknown[]) => void).call(this, type, ...rest);
    } as typeof removeEventListener;
  }
}
