/** Whatever the collector or the browser does, the page must not notice: no exception, no storm, no timer left on. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createApi } from "../src/api";
import { CODES } from "../src/catalogue";
import type { World } from "../src/world";
import { accept, type Behaviour, down, failure, silent } from "./server";
import { FakeWorld, openPage, options, parkedParts } from "./world";

const escaped: unknown[] = [];
process.on("unhandledRejection", (error) => escaped.push(error));
process.on("uncaughtException", (error) => escaped.push(error));

/** An hour of a busy page. */
async function live(behaviour: Behaviour) {
  const page = openPage();
  page.server.behaviour = behaviour;
  page.parked.first();
  page.parked.done();
  for (let minute = 0; minute < 60; minute++) {
    page.parked.log(CODES.clicked, minute);
    await page.fake.advance(60_000);
  }
  return page;
}

const html = "<!doctype html><title>Sign in to the hotel's Wi-Fi</title>";
const endless = (): ReadableStream<Uint8Array> =>
  new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(16_384).fill(0x20)) });
const BROKEN: Record<string, Behaviour> = {
  "a collector that is down": down,
  "a collector that never answers": silent,
  "a page of somebody else instead of an answer": () => new Response(html, { headers: { "content-type": "text/html" } }),
  "an answer without end": () => new Response(endless()),
  "an empty answer": () => new Response(null, { status: 204 }),
  "JSON that says nothing": () => new Response("null"),
  "JSON of another form": () => new Response('{"results": [{"status": "fine"}]}'),
  "fewer outcomes than events": () => new Response('{"results": []}'),
  "an error that is no JSON": () => new Response(html, { status: 500 }),
  "a refusal that is not ours": () => new Response(html, { status: 403 }),
  "a redirect": () => Promise.reject(new TypeError("redirect")),
  "an answer that breaks off": () =>
    new Response(new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) })),
  "a fetch that throws": () => {
    throw new Error("somebody replaced fetch");
  },
};

for (const [what, behaviour] of Object.entries(BROKEN)) {
  test(`${what} costs the page a request a minute at most, and nothing is lost`, async () => {
    const { fake, server, parked } = await live(behaviour);
    assert.ok(server.calls.length < 140, `${server.calls.length} requests in an hour`);
    assert.ok(server.mostOpen <= 2, `${server.mostOpen} requests at once`);
    server.calls.length = 0;
    server.behaviour = accept;
    parked.log(CODES.clicked, 1_000);
    await fake.advance(130_000);
    const values = server.events.flatMap((event) => event.values);
    assert.equal(new Set(values).size, 61, "every entry arrives");
    assert.deepEqual(escaped, []);
    assert.deepEqual(fake.warnings, []);
  });
}

test("a collector that takes 30 s to answer holds two requests at most and delays no call of the page", async () => {
  const slow: Behaviour = (call, fake) =>
    new Promise((resolve, reject) => {
      fake.world().setTimeout(() => resolve(accept(call, fake) as Response), 30_000);
      call.init.signal?.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
    });
  const { fake, server, api, parked } = openPage();
  server.behaviour = slow;
  parked.first();
  const took: number[] = [];
  for (let second = 0; second < 60; second++) {
    const before = performance.now();
    parked.log(CODES.clicked, second);
    api.mark(second);
    took.push(performance.now() - before);
    await fake.advance(1_000);
  }
  took.sort((a, b) => a - b);
  assert.ok(took[45]! < 50, "three of four: a busy machine may pause some");
  assert.ok(server.mostOpen <= 2);
  assert.deepEqual(escaped, []);
});

for (const [status, code] of [[429, "rate_limited"], [503, "spool_full"]] as const) {
  test(`Retry-After of ${status} is honoured`, async () => {
    const { fake, server, parked } = openPage();
    server.behaviour = () => failure(status, code, { "retry-after": "120" });
    parked.first();
    await fake.advance(100);
    parked.log(CODES.clicked, 1);
    fake.window.dispatchEvent(new Event("online"));
    await fake.advance(119_000);
    assert.equal(server.calls.length, 1);
    server.behaviour = accept;
    await fake.advance(5_000);
    assert.equal(server.calls.length, 2);
    assert.equal(server.calls[1]?.events.length, 2, "what has waited goes together");
  });
}

test("back-off doubles up to a minute, and a page that is online again is quick", async () => {
  const { fake, server, parked } = openPage();
  server.behaviour = down;
  parked.first();
  await fake.advance(300_000);
  const waits = server.calls.slice(1).map((call, at) => call.at - server.calls[at]!.at);
  assert.deepEqual(waits.slice(0, 8), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000], "half of the bound, as random() says here");
  server.behaviour = accept;
  const before = server.calls.length;
  fake.window.dispatchEvent(new Event("online"));
  await fake.advance(500);
  assert.equal(server.calls.length, before + 1);
});

const hanging = { open: () => ({}) } as unknown as IDBFactory;
const throwing = {
  open: () => {
    throw new DOMException("The operation is insecure.", "SecurityError");
  },
} as unknown as IDBFactory;
const storage = new Proxy({} as Storage, {
  get: () => () => {
    throw new DOMException("", "QuotaExceededError");
  },
});
const POOR: Record<string, Partial<World>> = {
  "without IndexedDB": { indexedDB: undefined },
  "with an IndexedDB that hangs": { indexedDB: hanging },
  "with an IndexedDB that throws": { indexedDB: throwing },
  "with storage that throws": { localStorage: storage, sessionStorage: storage },
  "without storage": { localStorage: undefined, sessionStorage: undefined, indexedDB: undefined },
  "without WebCrypto, as on a plain page": { subtle: undefined },
  "with a WebCrypto that refuses": {
    subtle: new Proxy({} as SubtleCrypto, { get: () => () => Promise.reject(new DOMException("", "OperationError")) }),
  },
  "without beacons": { beacon: undefined },
};

for (const [what, changes] of Object.entries(POOR)) {
  test(`a browser ${what} still sends everything`, async () => {
    const { fake, server, parked } = openPage(new FakeWorld(), changes);
    parked.first();
    await fake.advance(1_500);
    parked.log(CODES.clicked, 1);
    await fake.advance(2_500);
    server.behaviour = down;
    parked.log(CODES.clicked, 2);
    await fake.advance(4_000);
    server.behaviour = accept;
    await fake.advance(60_000);
    parked.log(CODES.clicked, 3);
    fake.pagehide();
    await fake.advance(0);
    const known = server.events.flatMap((event) => event.values);
    assert.deepEqual(known.filter((value) => value < 3), [1, 2]);
    assert.deepEqual(escaped, []);
  });
}

test("parts that throw are noted as a failure of the agent, three times at most", async () => {
  const fake = new FakeWorld();
  const broken = (): never => {
    throw new Error("a bug");
  };
  const api = createApi(() => fake.world(), { collect: broken, makeScheduler: broken, watch: broken });
  api.start(options());
  await fake.advance(10_000);
  const codes = fake.server.events.flatMap((event) => event.codes);
  assert.deepEqual(codes, [CODES.agent_failed, CODES.agent_failed]);
  assert.deepEqual(escaped, []);
});

test("wrong use is one sentence in the console and nothing else", async () => {
  const fake = new FakeWorld();
  const { parts } = parkedParts();
  const api = createApi(() => fake.world(), parts);
  const wrong = [
    undefined, null, 7, {}, { ...options(), endpoint: "http://collector.example/" }, { ...options(), endpoint: "javascript:1" },
    { ...options(), token: "" }, { ...options(), token: "a\nb" }, { ...options(), key: "short" },
    { ...options(), key: options().key.slice(0, -1) }, { ...options(), transaction: 5 }, { ...options(), ignore: "input" },
    { ...options(), renew: "soon" }, { get token(): string { throw new Error("trap"); } },
  ];
  for (const [at, given] of wrong.entries()) {
    api.start(given as never);
    assert.ok(fake.warnings.length <= at + 1);
  }
  assert.ok(fake.warnings.length >= wrong.length - 1);
  for (const warning of fake.warnings) assert.match(warning, /^start\(\) [^.]*\.$/);
  api.mark(Number.NaN);
  api.mark("unheard_of" as never);
  api.stop();
  assert.equal(await api.flush(), undefined);
  assert.equal(api.lastEventId(), undefined);
  assert.deepEqual(api.eventIds(), []);
  await fake.advance(10_000);
  assert.equal(fake.server.calls.length, 0);
  assert.deepEqual(escaped, []);
});

test("where there is no page, as on a server, starting does nothing", async () => {
  const api = createApi(() => undefined, parkedParts().parts);
  api.start(options());
  assert.equal(await api.flush(), undefined);
});

test("a page that was stopped and has sent everything leaves no timer running", async () => {
  const { fake, server, api, parked } = openPage();
  parked.first();
  parked.done();
  await fake.advance(3_000);
  api.stop();
  await fake.advance(3_000);
  const calls = server.calls.length;
  let asked = 0;
  const { setTimeout } = globalThis;
  globalThis.setTimeout = ((...given: Parameters<typeof setTimeout>) => {
    asked++;
    return setTimeout(...given);
  }) as typeof setTimeout;
  await fake.advance(3_600_000);
  globalThis.setTimeout = setTimeout;
  assert.equal(server.calls.length, calls);
  assert.equal(asked, 0);
  assert.equal(fake.waiting, 0);
});
