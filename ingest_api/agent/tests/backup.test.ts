import assert from "node:assert/strict";
import { test } from "node:test";
import { Backup, LIMITS, surplus } from "../src/backup";
import { CODES } from "../src/catalogue";
import { openDatabase, STORES, transact, of } from "../src/database";
import { accept, down, failure, json } from "./server";
import { FakeWorld, openPage, Profile } from "./world";

const HOUR = 3_600_000;

/** Everything in the database of a profile. */
async function contents(fake: FakeWorld) {
  const db = await openDatabase(fake.world());
  assert.ok(db);
  const found = await transact(db, "readonly", async (stores) =>
    Object.fromEntries(await Promise.all(STORES.map(async (name) => [name, await of(stores[name].getAll())] as const))),
  );
  db.close();
  return found as Record<(typeof STORES)[number], unknown[]>;
}

/** A page whose events nobody takes; it ends without a word. */
async function deadPage(profile: Profile, entries = 3) {
  const page = openPage(new FakeWorld(profile));
  page.server.behaviour = down;
  page.parked.first();
  for (let entry = 0; entry < entries; entry++) {
    page.parked.log(CODES.clicked, entry);
    await page.fake.advance(2_500);
  }
  return page;
}

test("an event is stored until it is answered for, sealed, and its key cannot be read", async () => {
  const { fake, parked, server } = openPage();
  await fake.quiet();
  server.behaviour = down;
  parked.log(CODES.clicked, 1);
  parked.first();
  await fake.quiet();
  const kept = await contents(fake);
  assert.deepEqual([kept.events.length, kept.index.length, kept.sessions.length], [1, 1, 1]);
  const [session] = kept.sessions as { key: CryptoKey }[];
  assert.equal(session?.key.extractable, false);
  server.behaviour = accept;
  await fake.advance(60_000);
  const left = await contents(fake);
  assert.deepEqual([left.events, left.index, left.sessions], [[], [], []], "the token goes with the last event");
});

test("a later page sends what an earlier one could not, with the ids and the session of that time", async () => {
  const profile = new Profile();
  const dead = await deadPage(profile);
  const next = openPage(new FakeWorld(profile, undefined, dead.fake.time + HOUR));
  next.parked.first();
  await next.fake.advance(2_000);
  const ids = next.server.events.map((event) => event.id);
  for (const id of dead.api.eventIds()) assert.ok(ids.includes(id));
  assert.equal(new Set(next.server.calls.flatMap((call) => call.events.map((event) => event.id))).size, ids.length);
  const live = next.api.eventIds()[0];
  assert.equal(ids[0], live, "this page's own event went first");
  await next.fake.quiet();
  assert.deepEqual((await contents(next.fake)).events, []);
});

test("what an earlier page left waits as long as the collector does not answer", async () => {
  const profile = new Profile();
  const dead = await deadPage(profile);
  const next = openPage(new FakeWorld(profile, undefined, dead.fake.time + HOUR));
  next.server.behaviour = down;
  next.parked.first();
  await next.fake.advance(300_000);
  const mine = new Set(next.api.eventIds());
  assert.ok(next.server.events.every((event) => mine.has(event.id)));
  assert.ok((await contents(next.fake)).events.length >= 4);
});

test("an earlier page's events that are refused are given up and counted", async () => {
  const profile = new Profile();
  const dead = await deadPage(profile);
  const theirs = new Set(dead.api.eventIds());
  const next = openPage(new FakeWorld(profile, undefined, dead.fake.time + HOUR));
  next.server.behaviour = (call, fake) =>
    call.events.some((event) => theirs.has(event.id)) ? failure(401, "token_expired") : accept(call, fake);
  next.parked.first();
  await next.fake.advance(1_000);
  next.parked.log(CODES.clicked, 9);
  await next.fake.advance(3_000);
  const last = next.server.events.at(-1);
  const at = last?.codes.indexOf(CODES.entries_dropped) ?? -1;
  assert.equal(last?.values[at], 3);
});

test("events that nobody takes for a day are given up and counted", async () => {
  const profile = new Profile();
  const dead = await deadPage(profile);
  const next = openPage(new FakeWorld(profile, undefined, dead.fake.time + LIMITS.ageMs + HOUR));
  next.parked.first();
  await next.fake.advance(1_000);
  next.parked.log(CODES.clicked, 9);
  await next.fake.advance(3_000);
  assert.deepEqual(next.server.events.map((event) => event.id), next.api.eventIds());
  assert.ok(next.server.events.at(-1)?.codes.includes(CODES.entries_dropped));
});

test("the store holds so many events and bytes, the newest; the oldest are counted in the next event", async () => {
  const { fake, parked, server } = openPage();
  await fake.quiet();
  server.behaviour = down;
  parked.first();
  const made = LIMITS.events + 20;
  for (let entry = 0; entry < made; entry++) {
    parked.log(CODES.clicked, entry);
    await fake.advance(2_001);
  }
  const kept = await contents(fake);
  const rows = kept.index as { bytes: number }[];
  assert.ok(rows.length <= LIMITS.events, `${rows.length} events`);
  assert.ok(rows.reduce((sum, row) => sum + row.bytes, 0) <= LIMITS.bytes);
  assert.equal(rows.length, kept.events.length);
  server.calls.length = 0;
  server.behaviour = accept;
  await fake.advance(120_000);
  parked.log(CODES.clicked, made);
  await fake.advance(3_000);
  const entries = server.events.flatMap(({ codes, values }) => codes.map((code, at) => [code, values[at]!] as const));
  const arrived = entries.filter(([code]) => code === CODES.clicked).length;
  assert.ok(arrived < made);
  assert.ok(entries.some(([code, value]) => code === CODES.entries_dropped && value > 0));
});

test("rows are let go by age, number and weight, the oldest first", () => {
  const row = (at: number, bytes = 1) => ({ at, bytes });
  assert.deepEqual(surplus([row(1), row(2)], 2), []);
  assert.deepEqual(surplus([row(1), row(2 + LIMITS.ageMs)], 2 + LIMITS.ageMs).map((one) => one.at), [1]);
  const many = Array.from({ length: LIMITS.events + 3 }, (_, at) => row(at));
  assert.deepEqual(surplus(many, 0).map((one) => one.at), [2, 1, 0]);
  assert.deepEqual(surplus([row(1, 10), row(2, LIMITS.bytes), row(3, 1)], 3).map((one) => one.at), [2, 1]);
});

test("of several tabs one sends what is left", async () => {
  const profile = new Profile();
  const dead = await deadPage(profile);
  const held = { request: async (_: string, __: object, task: (lock: null) => unknown) => task(null) } as unknown as LockManager;
  const next = openPage(new FakeWorld(profile, undefined, dead.fake.time + HOUR), { locks: held });
  next.parked.first();
  await next.fake.advance(1_000);
  assert.equal(next.server.events.length, 1);
  const free = { request: async (_: string, __: object, task: (lock: object) => unknown) => task({}) } as unknown as LockManager;
  const third = openPage(new FakeWorld(profile, undefined, dead.fake.time + HOUR), { locks: free });
  third.parked.first();
  await third.fake.advance(1_000);
  assert.ok(third.server.events.length > 1);
});

test("a large backlog of an earlier page is sent in requests of bounded size, and never two at a time", async () => {
  const profile = new Profile();
  const dead = await deadPage(profile, 60);
  const next = openPage(new FakeWorld(profile, undefined, dead.fake.time + HOUR));
  next.parked.first();
  await next.fake.advance(1_000);
  assert.equal(next.server.events.length, dead.api.eventIds().length + 1);
  for (const { init } of next.server.calls) assert.ok((init.body as Uint8Array).length <= 60_000);
  assert.ok(next.server.mostOpen <= 2);
});

test("a request that is too large is halved, and an event that alone is too large is given up", async () => {
  const { fake, parked, server } = openPage();
  server.behaviour = down;
  parked.first();
  for (let entry = 0; entry < 4; entry++) {
    parked.log(CODES.clicked, entry);
    await fake.advance(2_500);
  }
  server.behaviour = (call, world) =>
    call.events.length > 1 || call.events[0]?.values.includes(2) ? failure(413, "body_too_large") : accept(call, world);
  await fake.advance(60_000);
  server.behaviour = ({ events }) => json({ results: events.map(({ id }) => ({ event_id: id, status: "ok", reason: "" })) });
  parked.log(CODES.clicked, 9);
  await fake.advance(3_000);
  const last = server.events.at(-1);
  assert.deepEqual([...(last?.codes ?? [])], [CODES.clicked, CODES.entries_dropped]);
  assert.deepEqual(last?.values, [9, 1]);
});

test("a database of a newer agent is let be", async () => {
  const fake = new FakeWorld();
  const newer = fake.profile.indexedDB!.open("clickgoose", 9);
  await new Promise((resolve) => (newer.onsuccess = resolve));
  newer.result.close();
  const backup = new Backup(fake.world());
  assert.equal(await backup.opened, undefined);
  assert.equal(await backup.expire(), undefined);
});
