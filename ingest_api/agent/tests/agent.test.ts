import assert from "node:assert/strict";
import { test } from "node:test";
import { CODES } from "../src/catalogue";
import { accept, down, failure, json, openBeacon, open, silent, unframe } from "./server";
import { FakeWorld, keyString, openPage, options } from "./world";

const { clicked, entries_dropped: dropped, merchant_mark: marked, payment_declined: declined } = CODES;

test("the first event leaves as soon as the quick signals are there, another once all are", async () => {
  const { fake, parked, server } = openPage();
  await fake.advance(300);
  assert.equal(server.calls.length, 0);
  parked.signals.number("screen.width", 1920);
  parked.first();
  await fake.advance(0);
  assert.equal(server.events.length, 1);
  parked.signals.number("screen.height", 1080);
  parked.done();
  await fake.advance(0);
  assert.deepEqual(server.events.map((event) => event.sequence), [0, 1]);
  await fake.advance(60_000);
  assert.equal(server.events.length, 2, "nothing new, nothing sent");
});

test("the first event leaves within 1.5 s even where no collector ever ends", async () => {
  const { fake, server } = openPage();
  await fake.advance(1_500);
  assert.equal(server.events.length, 1);
});

test("collecting waits for a body, and not for ever", async () => {
  const fake = new FakeWorld();
  const body = fake.document.body;
  fake.document.body = undefined as unknown as HTMLElement;
  const { parked } = openPage(fake);
  assert.equal(parked.first, undefined);
  fake.document.body = body;
  fake.document.dispatchEvent(new Event("DOMContentLoaded"));
  assert.notEqual(parked.first, undefined);
  const late = new FakeWorld();
  late.document.body = undefined as unknown as HTMLElement;
  const other = openPage(late);
  await late.advance(1_000);
  assert.notEqual(other.parked.first, undefined);
});

test("a batch leaves 2 s after its last entry, 10 s after its first, or at 200 entries", async () => {
  const { fake, parked, server } = openPage();
  parked.first();
  await fake.advance(5_000);
  const before = server.events.length;
  parked.log(clicked, 1);
  await fake.advance(1_900);
  assert.equal(server.events.length, before);
  await fake.advance(200);
  assert.equal(server.events.length, before + 1);

  for (let second = 0; second < 12; second++) {
    parked.log(clicked, second);
    await fake.advance(1_000);
    assert.equal(server.events.length, before + (second < 9 ? 1 : 2), `after ${second + 1} s`);
  }
  await fake.advance(3_000);
  const many = server.events.length;
  for (let entry = 0; entry < 200; entry++) parked.log(clicked, entry);
  await fake.advance(0);
  assert.equal(server.events.length, many + 1);
  assert.equal(server.events.at(-1)?.codes.length, 200);
});

test("a page that floods the log gets an event a second, and what is too much is counted", async () => {
  const { fake, parked, server } = openPage();
  parked.first();
  await fake.advance(2_000);
  const before = server.events.length;
  for (let entry = 0; entry < 5_000; entry++) parked.log(clicked, entry);
  await fake.advance(10_000);
  const flood = server.events.slice(before);
  assert.ok(flood.length <= 4, `${flood.length} events`);
  const codes = flood.flatMap((event) => event.codes);
  const lost = flood.flatMap((event) => event.values.filter((_, at) => event.codes[at] === dropped));
  assert.equal(codes.filter((code) => code === clicked).length + lost.reduce((a, b) => a + b, 0), 5_000);
});

test("events carry one device, one session, rising sequences and sortable ids, over pages too", async () => {
  const first = openPage();
  first.parked.first();
  first.parked.done();
  await first.fake.advance(100);
  const second = openPage(new FakeWorld(first.fake.profile, first.server, first.fake.time));
  second.parked.first();
  await second.fake.advance(100);
  const { events } = first.server;
  assert.equal(new Set(events.map((event) => event.device)).size, 1);
  assert.deepEqual(events.map((event) => event.sequence), events.map((_, at) => at));
  assert.deepEqual(events.map((event) => event.id), events.map((event) => event.id).sort());
  assert.equal(new Set(events.map((event) => event.id)).size, events.length);
});

test("the device id survives the loss of either store", async () => {
  const { fake, parked, server } = openPage();
  parked.first();
  await fake.advance(100);
  fake.profile.localStorage.kept.clear();
  const again = openPage(new FakeWorld(fake.profile, server, fake.time));
  again.parked.first();
  await again.fake.advance(600);
  fake.profile.indexedDB = undefined;
  const third = openPage(new FakeWorld(fake.profile, server, fake.time));
  third.parked.first();
  await third.fake.advance(600);
  assert.equal(server.events.length, 3);
  assert.equal(new Set(server.events.map((event) => event.device)).size, 1);
});

test("flush sends what is new and gives the id that the merchant's server polls", async () => {
  const { fake, api, parked, server } = openPage();
  parked.first();
  await fake.advance(100);
  api.mark(42);
  api.mark("payment_declined");
  const flushed = api.flush();
  await fake.quiet();
  const last = server.events.at(-1);
  assert.equal(await flushed, last?.id);
  assert.deepEqual(last?.codes, [marked, declined]);
  assert.equal(last?.values[0], 42);
  assert.equal(api.lastEventId(), last?.id);
  assert.deepEqual(api.eventIds(), server.events.map((event) => event.id));
});

test("flush names the event it sends before it resolves", () => {
  const { api, parked } = openPage();
  parked.first();
  const before = api.lastEventId();
  api.mark(1);
  void api.flush();
  assert.notEqual(api.lastEventId(), before);
});

test("flush resolves within 10 s where nobody answers", async () => {
  const { fake, api, server } = openPage();
  server.behaviour = silent;
  let done = false;
  void api.flush().then(() => (done = true));
  await fake.advance(10_000);
  assert.ok(done);
});

test("a second start with the same session changes nothing, with another one it starts anew", async () => {
  const { fake, api, parked, server } = openPage();
  parked.first();
  await fake.advance(100);
  api.start(options());
  assert.equal(parked.unwatched, 0);
  api.start({ ...options(), token: "another.token.here" });
  assert.equal(parked.unwatched, 1);
  parked.first();
  await fake.advance(100);
  assert.equal(server.events.length, 2);
});

test("stop ends collecting and still sends what is known", async () => {
  const { fake, api, parked, server } = openPage();
  parked.first();
  await fake.advance(100);
  parked.log(clicked, 1);
  api.stop();
  parked.log(clicked, 2);
  await fake.advance(20_000);
  assert.deepEqual(server.events.at(-1)?.values, [1]);
  assert.equal(parked.unwatched, 1);
  api.start(options());
  parked.first();
  await fake.advance(100);
  assert.equal(server.events.length, 3, "and it can be started again");
});

test("every request goes to the endpoint, without cookies, referrer or redirects", async () => {
  const { fake, parked, server } = openPage();
  parked.first();
  await fake.advance(100);
  for (const { url, init } of server.calls) {
    assert.equal(url, options().endpoint);
    const { credentials, referrerPolicy, redirect, mode, cache, keepalive } = init;
    assert.deepEqual(
      { credentials, referrerPolicy, redirect, mode, cache, keepalive },
      { credentials: "omit", referrerPolicy: "no-referrer", redirect: "error", mode: "cors", cache: "no-store", keepalive: true },
    );
  }
});

test("a page that is left seals and hands over all that is known without waiting for any promise", () => {
  const { fake, parked } = openPage();
  parked.signals.number("screen.width", 1920);
  parked.log(clicked, 5);
  const bodies: Blob[] = [];
  const sent = openPage(new FakeWorld(), { beacon: (_, body) => bodies.push(body) > 0 });
  sent.parked.log(clicked, 5);
  sent.fake.pagehide();
  assert.equal(bodies.length, 1, "synchronously");
  assert.equal(bodies[0]?.type, "text/plain");
  fake.pagehide();
});

test("what a beacon carried is sent again after the page is shown again, with the same id", async () => {
  const { fake, parked, server } = openPage();
  parked.log(clicked, 5);
  fake.pagehide();
  await fake.advance(1_000);
  const [beacon] = fake.beacons;
  assert.ok(beacon);
  const [event] = unframe(openBeacon(beacon).frames).map(open);
  assert.deepEqual(event?.values, [5]);
  assert.equal(server.calls.length, 0);
  fake.window.dispatchEvent(new Event("pageshow"));
  await fake.advance(0);
  assert.equal(server.events[0]?.id, event?.id);
});

test("what a beacon carried is sent again by the next page", async () => {
  const { fake, parked } = openPage();
  parked.log(clicked, 5);
  await fake.quiet(); // the database is open
  fake.pagehide();
  await fake.advance(0);
  const lost = unframe(openBeacon(fake.beacons[0]!).frames).map(open)[0];
  const next = openPage(new FakeWorld(fake.profile, undefined, fake.time + 60_000));
  next.parked.first();
  await next.fake.advance(1_000);
  assert.ok(next.server.events.some((event) => event.id === lost?.id));
  const third = openPage(new FakeWorld(fake.profile, undefined, fake.time + 120_000));
  third.parked.first();
  await third.fake.advance(60_000);
  assert.ok(!third.server.events.some((event) => event.id === lost?.id), "answered for, hence forgotten");
});

test("an event on its way to being sealed is not lost when the page is left, and is not sent twice", async () => {
  const { fake, parked, server } = openPage();
  parked.log(clicked, 7);
  parked.first(); // begins to seal by WebCrypto
  fake.pagehide(); // before that has ended
  await fake.advance(0);
  const beaconed = fake.beacons.flatMap((body) => unframe(openBeacon(body).frames).map(open));
  assert.deepEqual(beaconed.map((event) => event.values), [[7]]);
  assert.equal(server.calls.length, 0);
});

test("without beacons the browser's fetch takes what is left, in the same form", async () => {
  const fake = new FakeWorld();
  fake.beaconTaken = false;
  const { parked, server } = openPage(fake);
  parked.log(clicked, 5);
  fake.pagehide();
  await fake.quiet();
  const { init, events } = server.calls[0]!;
  assert.deepEqual([init.keepalive, init.credentials, init.mode], [true, "omit", "no-cors"]);
  assert.deepEqual(events[0]?.values, [5]);
});

test("a hidden page sends at once, by a request that has an answer", async () => {
  const { fake, parked, server } = openPage();
  parked.first();
  await fake.advance(100);
  parked.log(clicked, 6);
  const before = server.open;
  fake.hide();
  assert.equal(server.open, before + 1, "synchronously");
  await fake.quiet();
  assert.deepEqual(server.events.at(-1)?.values, [6]);
});

test("a session that the server refuses is asked for anew, and entries wait for it", async () => {
  let asked = 0;
  const renew = () => {
    asked++;
    return Promise.resolve({ token: "new.token.there", key: keyString() });
  };
  const { fake, parked, server } = openPage(new FakeWorld(), {}, { ...options(), renew });
  server.behaviour = (call, world) =>
    new Headers(call.init.headers).get("authorization")?.includes("new.token")
      ? accept(call, world)
      : failure(401, "token_expired");
  parked.first();
  await fake.advance(500);
  assert.equal(asked, 1);
  parked.log(clicked, 3);
  await fake.advance(3_000);
  assert.deepEqual(server.events.at(-1)?.values.at(0), 3);
});

test("a session whose end is near is renewed in time", async () => {
  let asked = 0;
  const fake = new FakeWorld();
  const claims = Buffer.from(JSON.stringify({ exp: fake.time / 1_000 + 300 })).toString("base64url");
  const renew = () => Promise.resolve({ token: `renewed.${++asked}.x`, key: keyString() });
  const { parked } = openPage(fake, {}, { ...options(), token: `a.${claims}.b`, renew });
  parked.first();
  await fake.advance(200_000);
  assert.equal(asked, 0);
  await fake.advance(50_000);
  parked.log(clicked, 1);
  await fake.advance(3_000);
  assert.equal(asked, 1);
});

test("without renewal a refused session ends quietly", async () => {
  const { fake, parked, server } = openPage();
  server.behaviour = () => failure(401, "token_expired");
  parked.first();
  await fake.advance(100);
  assert.equal(parked.unwatched, 1);
  const calls = server.calls.length;
  await fake.advance(3_600_000);
  assert.equal(server.calls.length, calls);
});

test("events that the server drops are forgotten, those it wants later are kept", async () => {
  const { fake, api, parked, server } = openPage();
  server.behaviour = ({ events }) =>
    json({ results: events.map(({ id }) => ({ event_id: id, status: "retry", reason: "spool_full" })) }, 200, { "retry-after": "5" });
  parked.first();
  await fake.advance(100);
  server.behaviour = ({ events }) =>
    json({ results: events.map(({ id }) => ({ event_id: id, status: "drop", reason: "too_old" })) });
  await fake.advance(4_000);
  assert.equal(server.calls.length, 1, "Retry-After is honoured");
  await fake.advance(3_000);
  assert.equal(server.calls.length, 2);
  await fake.advance(100_000);
  assert.equal(server.calls.length, 2);
  assert.equal(api.eventIds().length, 1);
});

test("an outage loses nothing: every entry arrives once it is over, under its own id", async () => {
  const { fake, parked, server, api } = openPage();
  server.behaviour = down;
  parked.first();
  for (let entry = 0; entry < 30; entry++) {
    parked.log(clicked, entry);
    await fake.advance(3_000);
  }
  const attempts = server.calls.length;
  assert.ok(attempts >= 4 && attempts <= 12, `${attempts} attempts in 90 s`);
  server.calls.length = 0;
  server.behaviour = accept;
  await fake.advance(61_000);
  assert.deepEqual(server.events.flatMap((event) => event.values).sort((a, b) => a - b), Array.from({ length: 30 }, (_, at) => at));
  assert.deepEqual(server.events.map((event) => event.id), api.eventIds());
});

test("packing is used where the server asks for it", async () => {
  const { fake, parked, server } = openPage();
  server.behaviour = async (call, world) => {
    const answer = await accept(call, world);
    answer.headers.set("x-clickgoose-codec", "deflate-raw");
    return answer;
  };
  parked.first();
  await fake.advance(100);
  parked.log(clicked, 1);
  await fake.advance(2_000);
  for (let wait = 0; wait < 2_000 && server.calls.length < 2; wait++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    await fake.quiet();
  }
  assert.deepEqual(server.events.map((event) => event.codec), [0, 1]);
});

test("a device whose clock is wrong is put right by the server, once it says so", async () => {
  const fake = new FakeWorld();
  const { parked, server } = openPage(fake);
  server.behaviour = (call, world) => {
    const stamp = /t=(\d+)/.exec(new Headers(call.init.headers).get("x-clickgoose-signature") ?? "")?.[1];
    const serverNow = world.time - 7_200_000;
    return Math.abs(Number(stamp) - serverNow) > 300_000
      ? failure(401, "signature_stale", { date: new Date(serverNow).toUTCString() })
      : accept(call, world);
  };
  parked.first();
  await fake.advance(2_000);
  assert.equal(server.calls.length, 2);
  parked.log(clicked, 1);
  await fake.advance(3_000);
  assert.ok(Math.abs((server.events.at(-1)?.sentAt ?? 0) - (fake.time - 7_200_000)) < 10_000);
});
