import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { ARGUMENTS } from "../pack.mjs";
import { BOOLEANS, CATEGORIES, NUMBERS, TEXTS } from "../src/catalogue";
import { collect, makeScheduler } from "../src/signals";
import { describeMaths } from "../src/signals/maths";
import { describeNative } from "../src/signals/native";
import { describeWorker } from "../src/signals/worker";
import type { Signals } from "../src/types";

const require = createRequire(import.meta.url);
const { JSDOM, VirtualConsole } = require("jsdom") as {
  JSDOM: new (html: string, options: object) => { window: Window & typeof globalThis };
  VirtualConsole: new () => object;
};
const KINDS = { number: NUMBERS, boolean: BOOLEANS, category: CATEGORIES, text: TEXTS };
type Kind = keyof typeof KINDS;

/** What was asked, as `kind name`, and the answers. */
class Asked implements Signals {
  readonly names = new Set<string>();
  readonly answers = new Map<string, unknown>();
  readonly number = (name: string, value: unknown): void => this.add("number", name, value);
  readonly boolean = (name: string, value: unknown): void => this.add("boolean", name, value);
  readonly category = (name: string, value: unknown): void => this.add("category", name, value);
  readonly text = (name: string, value: unknown): void => this.add("text", name, value);

  private add(kind: Kind, name: string, value: unknown): void {
    this.names.add(`${kind} ${name}`);
    if (value !== undefined && value !== null) this.answers.set(name, value);
  }
}

const catalogue = Object.entries(KINDS).flatMap(([kind, names]) => names.map((name) => `${kind} ${name}`));
/** Comes with an error of the page, from whoever hears of it. */
const OF_OTHERS = ["text page.last_error"];
const GLOBALS = [
  "window",
  "document",
  "navigator",
  "screen",
  "location",
  "history",
  "Navigator",
  "Element",
  "HTMLElement",
  "getComputedStyle",
];

function lend(values: object): () => void {
  const before = Object.keys(values).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  return () => {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else Reflect.deleteProperty(globalThis, name);
    }
  };
}

/** A page of jsdom, which knows little of a browser; whoever opens a connection is noted. */
function lendPage(): { window: Window & typeof globalThis; connections: string[]; leave: () => void } {
  const { window } = new JSDOM("<!doctype html><title>Pay</title><body><form></form></body>", {
    url: "https://shop.example/checkout",
    pretendToBeVisual: true,
    virtualConsole: new VirtualConsole(),
  });
  const connections: string[] = [];
  const connect = (kind: string) =>
    function connection(): never {
      connections.push(kind);
      throw new Error("no connections");
    };
  const back = lend({
    ...Object.fromEntries(GLOBALS.map((name) => [name, (window as unknown as Record<string, unknown>)[name]])),
    fetch: connect("fetch"),
    XMLHttpRequest: connect("XMLHttpRequest"),
    WebSocket: connect("WebSocket"),
    RTCPeerConnection: connect("RTCPeerConnection"),
    Image: connect("Image"),
  });
  return { window, connections, leave: back };
}

test("every signal of the catalogue is asked for by a collector, under its own kind, and no other", async () => {
  const { connections, window, leave } = lendPage();
  const asked = new Asked();
  let firsts = 0;
  await collect(
    asked,
    makeScheduler(() => false),
    () => firsts++,
  );
  const missing = () => catalogue.some((name) => !asked.names.has(name) && !OF_OTHERS.includes(name));
  for (let wait = 0; wait < 1_000 && missing(); wait++) {
    await new Promise((resolve) => setTimeout(resolve, 10)); // the loudspeakers come last, and nobody waits for them
  }
  leave();
  assert.deepEqual(
    catalogue.filter((name) => !asked.names.has(name)),
    OF_OTHERS,
  );
  assert.deepEqual(
    [...asked.names].filter((name) => !catalogue.includes(name)),
    [],
  );
  assert.equal(firsts, 1);
  assert.deepEqual(connections, [], "nothing is contacted");
  assert.equal(
    window.document.querySelectorAll("iframe, canvas, video, div, span").length,
    0,
    "nothing stays in the page",
  );
  assert.equal(asked.answers.get("navigator.user_agent"), window.navigator.userAgent);
  assert.equal(asked.answers.get("navigator.languages"), window.navigator.languages.join(","));
  assert.equal(asked.answers.get("page.url"), "https://shop.example/checkout");
  assert.ok((asked.answers.get("timing.collection") as number) > 0);
});

test("the bundle keeps the names of every family that is gone through by name, and of no other", () => {
  const folder = join(import.meta.dirname, "..", "src", "signals");
  const sources = readdirSync(folder).filter((name) => name !== "put.ts").map((name) => readFileSync(join(folder, name), "utf8"));
  const calls = /\b(?:each|look|members|all)\(\s*(?:signals,\s*)?(?:(?:"(?:number|boolean|category|text)"|kind),\s*)?"(\w+)"/g;
  const families = sources.flatMap((source) => [...source.matchAll(calls)].map((call) => call[1]!));
  assert.deepEqual([...new Set(families)].sort(), [...ARGUMENTS].sort());
});

test("a place that has nothing of a browser, and one that refuses everything, leave signals absent and nothing thrown", async () => {
  const asked = new Asked();
  await collect(
    asked,
    makeScheduler(() => false),
    () => {
      throw new Error("the caller's own mistake");
    },
  );
  assert.ok(asked.answers.size < 400);
  const refusing = new Proxy({}, { get: () => assert.fail("refused"), has: () => assert.fail("refused") });
  const back = lend({ navigator: refusing, document: refusing, screen: refusing, window: refusing });
  await collect(
    new Asked(),
    makeScheduler(() => false),
    () => undefined,
  );
  back();
});

test("a stopped agent asks nothing more, and its collection still ends", async () => {
  const { window, leave } = lendPage();
  const asked = new Asked();
  let stopped = false;
  await collect(
    asked,
    makeScheduler(() => stopped),
    () => (stopped = true),
  );
  leave();
  assert.ok(asked.names.has("text navigator.user_agent"));
  assert.ok(!asked.names.has("category canvas.text"));
  assert.equal(window.document.querySelectorAll("iframe").length, 0);
});

test("tasks run one after another, later than they are given; one that throws or rejects gives undefined", async () => {
  const order: string[] = [];
  const scheduler = makeScheduler(() => false);
  const results = [
    scheduler.run(() => order.push("first")),
    scheduler.run(() => {
      order.push("second");
      throw new Error("thrown");
    }),
    scheduler.run(() => Promise.reject(new Error("rejected"))),
    scheduler.run(async () => "late"),
  ];
  order.push("given");
  assert.deepEqual(await Promise.all(results), [2, undefined, undefined, "late"]);
  assert.deepEqual(order, ["given", "first", "second"]);
});

test("the page's own work comes between tasks that take longer than a slice", async () => {
  const order: string[] = [];
  const scheduler = makeScheduler(() => false);
  const busy = (name: string) => (): void => {
    for (const end = performance.now() + 4; performance.now() < end;);
    order.push(name);
    setImmediate(() => order.push("page"));
  };
  await Promise.all([scheduler.run(busy("one")), scheduler.run(busy("two"))]);
  assert.deepEqual(order, ["one", "page", "two"]);
});

test("an idle callback with an end is used where the tab is shown, a message where it is hidden", async () => {
  const waits: unknown[] = [];
  const idle = (slice: () => void, options: object): void => {
    waits.push(options);
    setTimeout(slice, 0);
  };
  let back = lend({ requestIdleCallback: idle, document: { hidden: false } });
  await makeScheduler(() => false).run(() => undefined);
  back();
  assert.equal(waits.length, 1);
  assert.ok((waits[0] as { timeout: number }).timeout <= 100);
  back = lend({ requestIdleCallback: idle, document: { hidden: true } });
  await makeScheduler(() => false).run(() => undefined);
  back();
  assert.equal(waits.length, 1);
});

test("maths is told in full", () => {
  const asked = new Asked();
  describeMaths(asked);
  assert.equal(asked.answers.get("maths.acos"), "1.4473588658278522");
  assert.equal(asked.answers.get("maths.pow"), String(Math.PI ** -100));
  assert.equal(asked.answers.get("maths_exact.sin_39"), String(Math.sin(39)));
  assert.equal(asked.answers.get("maths_exact.log_1.7e-8"), String(Math.log(1.7e-8)));
  assert.equal(asked.answers.get("maths_exact.tan_-1e300"), String(Math.tan(-1e300)));
});

const NATIVE = [
  "Function.prototype.toString",
  "Reflect.ownKeys",
  "Date.getTimezoneOffset",
  "Intl.DateTimeFormat.resolvedOptions",
];

/** What is seen of Node's own functions while `change` lasts. */
function lookAtNatives(prototype: object, member: string, change: (original: Function) => unknown) {
  const { leave } = lendPage();
  const print = Function.prototype.toString;
  const descriptor = Object.getOwnPropertyDescriptor(prototype, member)!;
  Object.defineProperty(prototype, member, { ...descriptor, value: change(descriptor.value as Function) });
  const asked = new Asked();
  try {
    describeNative(asked, (one) => print.call(one));
  } finally {
    Object.defineProperty(prototype, member, descriptor);
    leave();
  }
  return (name: string): unknown => asked.answers.get(`altered.${name}`);
}

test("functions of the engine are its own; replaced, bound and wrapped ones are not", () => {
  const same = lookAtNatives(Date.prototype, "getTimezoneOffset", (original) => original);
  assert.deepEqual(NATIVE.map(same), [false, false, false, false]);
  for (const change of [
    () => () => -60,
    (original: Function) => original.bind(new Date()) as unknown,
    (original: Function) => new Proxy(original, {}),
    () => Date.prototype.getDay,
  ]) {
    assert.equal(lookAtNatives(Date.prototype, "getTimezoneOffset", change)("Date.getTimezoneOffset"), true);
  }
});

test("a proxy is told from a bound and from a replaced function, and wrapped event listeners count as nobody's lie", () => {
  const { leave } = lendPage();
  const print = (one: unknown): string => Function.prototype.toString.call(one);
  const traces = (prototype: object, member: string, value: unknown) => {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, member)!;
    const before = describeNative(new Asked(), print);
    Object.defineProperty(prototype, member, { ...descriptor, value });
    const after = describeNative(new Asked(), print);
    Object.defineProperty(prototype, member, descriptor);
    return { before, after };
  };
  const original = Date.prototype.getTimezoneOffset;
  const proxied = traces(Date.prototype, "getTimezoneOffset", new Proxy(original, {}));
  const bound = traces(Date.prototype, "getTimezoneOffset", original.bind(new Date()));
  const wrapped = traces(
    EventTarget.prototype,
    "addEventListener",
    new Proxy(EventTarget.prototype.addEventListener, {}),
  );
  leave();
  assert.equal(proxied.before.proxy_detected, false);
  assert.equal(proxied.after.proxy_detected, true);
  assert.equal(bound.after.proxy_detected, false);
  assert.equal(wrapped.after.proxy_detected, false);
});

test("the worker's script stands alone: it answers where nothing of the page is", async () => {
  let script: Blob | undefined;
  let ended = 0;
  class Worker {
    onmessage: (event: object) => void = () => undefined;
    postMessage(question: object): void {
      void script!.text().then((code) => {
        const scope = {
          navigator: {
            userAgent: "Agent",
            platform: "Platform",
            language: "en",
            languages: ["en"],
            hardwareConcurrency: 4,
            onLine: true,
          },
          performance,
          postMessage: (data: unknown) => this.onmessage({ data }),
          onmessage: (_event: object): void => undefined,
          setTimeout,
          SharedWorker: class {},
        };
        runInNewContext(code, scope);
        scope.onmessage({ data: question });
      });
    }
    terminate(): void {
      ended++;
    }
  }
  const back = lend({
    Worker,
    URL: { createObjectURL: (blob: Blob) => ((script = blob), "blob:x"), revokeObjectURL: () => ended++ },
  });
  const asked = new Asked();
  await describeWorker(asked);
  back();
  assert.equal(ended, 2, "worker and script are given back");
  assert.equal(asked.answers.get("worker.supported"), true);
  assert.equal(asked.answers.get("worker.user_agent"), "Agent");
  assert.equal(asked.answers.get("worker.hardware_concurrency"), 4);
  assert.equal(asked.answers.get("worker_interface.SharedWorker"), true);
  assert.equal(asked.answers.get("worker_interface.USB"), false);
  assert.equal(asked.answers.get("worker_page.webgl_supported"), false);
  assert.match(String(asked.answers.get("worker_page.maths")), /^1\.447358/);
});

test("without a worker, its signals stay absent", async () => {
  const asked = new Asked();
  await describeWorker(asked);
  assert.deepEqual([...asked.answers], [["worker.supported", false]]);
});
