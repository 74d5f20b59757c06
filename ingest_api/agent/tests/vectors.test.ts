/** Byte for byte: what Python wrote is what this side writes; what this side wrote is what it still writes. */

import assert from "node:assert/strict";
import { createDecipheriv, createHmac, webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { inflateRawSync } from "node:zlib";
import { BOOLEANS, CATALOGUE_VERSION, CATEGORIES, CODES, NUMBERS, TARGETS, TEXTS } from "../src/catalogue";
import { packBeacon, packFrames } from "../src/frames";
import { categoryHash } from "../src/hash";
import { SignalTable } from "../src/payload";
import { packHeader, Sealer } from "../src/seal";
import { readKey } from "../src/session";
import { importSigningKey, sign, signNow } from "../src/sign";
import { agentVectors, columns, emptyBody, type Event, golden, hex, table, text, unhex, type Value, VECTORS } from "./vectors";
import { keyString } from "./world";

const subtle = webcrypto.subtle as unknown as SubtleCrypto;
const bytes = (digits: string): Uint8Array<ArrayBuffer> => unhex(digits, digits.length / 2) ?? new Uint8Array(0);

/** A payload without its catalogue's version: a nested event, which Python made these of, may name another. */
const unversioned = (body: string): string => body.slice(0, 4) + body.slice(8);

test("the catalogue's table has the positions, log codes and targets that Python has", () => {
  const python = golden("catalogue") as {
    version: number;
    positions: Record<string, string[]>;
    log_codes: Record<string, string>;
    targets: Record<string, number>;
  };
  assert.equal(CATALOGUE_VERSION, python.version);
  const positions = { number: [...NUMBERS], boolean: [...BOOLEANS], category: [...CATEGORIES], text: [...TEXTS] };
  assert.deepEqual(positions, python.positions);
  assert.deepEqual(Object.fromEntries(Object.entries(CODES).map(([name, code]) => [String(code), name])), python.log_codes);
  assert.deepEqual({ ...TARGETS }, python.targets);
});

test("category hashes", () => {
  for (const [given, expected] of Object.entries(golden("category_hash") as Record<string, number>)) {
    assert.equal(categoryHash(given), expected);
  }
});

test("payloads", () => {
  type PythonEntry = { t: number; code: number; value: number; target: keyof typeof TARGETS };
  const vectors = golden("payload") as { name: string; event: { signals: Record<string, Value>; activity: PythonEntry[] }; body: string }[];
  for (const { name, event, body } of vectors) {
    const activity = event.activity.map((entry): Event["activity"][number] => ({ ...entry, target: TARGETS[entry.target] }));
    assert.equal(unversioned(hex(table(event.signals).encode(columns(activity)))), unversioned(body), name);
  }
});

test("sealed events, by WebCrypto and at once", async () => {
  const vector = golden("sealed") as {
    header: Record<"session_id" | "device_id" | "event_id", string> & Record<"key_id" | "sequence" | "sent_at", number>;
    packed_header: string;
    key: string;
    nonce: string;
    events: { codec: string; body: string; sealed: string }[];
  };
  const header = packHeader({
    keyId: vector.header.key_id,
    sessionId: bytes(vector.header.session_id),
    deviceId: bytes(vector.header.device_id),
    eventId: bytes(vector.header.event_id),
    sequence: vector.header.sequence,
    sentAt: vector.header.sent_at,
  });
  assert.equal(hex(header), vector.packed_header);
  const raw = vector.events.find((event) => event.codec === "RAW");
  assert.ok(raw);
  const nonce = bytes(vector.nonce);
  assert.equal(hex(new Sealer(bytes(vector.key), undefined).sealNow(header, bytes(raw.body), nonce)), raw.sealed);
  assert.equal(hex(await new Sealer(bytes(vector.key), subtle).seal(header, bytes(raw.body), nonce, false)), raw.sealed);
});

test("a packed body opens to the same bytes behind its size", async () => {
  const key = readKey(keyString());
  assert.ok(key);
  const body = emptyBody() as Uint8Array<ArrayBuffer>;
  const header = new Uint8Array(68);
  const sealed = await new Sealer(key.seal, subtle).seal(header, body, new Uint8Array(12), true);
  const cipher = createDecipheriv("aes-256-gcm", key.seal, sealed.subarray(68, 80));
  cipher.setAAD(header);
  cipher.setAuthTag(sealed.subarray(-16));
  const plain = Buffer.concat([cipher.update(sealed.subarray(80, -16)), cipher.final()]);
  assert.equal(plain[0], 1);
  assert.equal(plain.readUInt32LE(1), body.length);
  assert.ok(inflateRawSync(plain.subarray(5)).equals(body));
});

test("frames", () => {
  const vector = golden("frames") as { frames: string[]; body: string };
  assert.equal(hex(packFrames(vector.frames.map(bytes))), vector.body);
});

test("the key string holds version, key id, session and both keys", () => {
  const { derived, session_id } = golden("keys") as { derived: Record<"seal" | "sign", string>; session_id: string };
  const packed = Buffer.concat([Buffer.from([1, 7, 0, 0, 0]), ...[session_id, derived.seal, derived.sign].map(bytes)]);
  const key = readKey(packed.toString("base64url"));
  assert.deepEqual(
    [key?.keyId, ...[key?.sessionId, key?.seal, key?.sign].map((part) => part && hex(part))],
    [7, session_id, derived.seal, derived.sign],
  );
  packed[0] = 2;
  assert.equal(readKey(packed.toString("base64url")), undefined, "another version");
  assert.equal(readKey(packed.subarray(0, 84).toString("base64url")), undefined, "too short");
  assert.equal(readKey("not base64url!"), undefined);
});

test("signatures, by WebCrypto and at once", async () => {
  const { derived } = golden("keys") as { derived: { sign: string } };
  const { body } = golden("frames") as { body: string };
  const key = bytes(derived.sign);
  const expected = createHmac("sha256", key).update("1790000000123.").update(bytes(body)).digest("hex");
  assert.equal(signNow(key, bytes(body), 1_790_000_000_123), `t=1790000000123,v1=${expected}`);
  const imported = await importSigningKey(subtle, key);
  assert.equal(await sign(subtle, imported, bytes(body), 1_790_000_000_123), `t=1790000000123,v1=${expected}`);
});

test("a beacon has token and signature before its frames", () => {
  assert.equal(hex(packBeacon("tok", "sg", bytes("00ff"))), "0300746f6b0200736700ff");
});

test("our own vectors are what they were", () => {
  const kept = readFileSync(join(VECTORS, "agent.json"), "utf8");
  assert.ok(text(agentVectors()) === kept, "run `npm run vectors` in ingest_api/agent if this is meant");
});

test("absent values stay absent, long texts end before a character that does not fit, wrong names are told", () => {
  const unknown: string[] = [];
  const signals = new SignalTable((name) => unknown.push(name));
  for (const absent of [null, undefined, Number.NaN, Infinity, 1e300]) signals.number("screen.width", absent);
  signals.boolean("navigator.webdriver", null);
  signals.category("navigator.vendor", undefined);
  signals.text("page.title", null);
  assert.equal(hex(signals.encode(columns([]))), hex(emptyBody()));
  signals.text("page.title", `x${"\u5ba2".repeat(2_000)}`);
  assert.equal(signals.encode(columns([])).length - emptyBody().length, 1 + 3 * 682);
  for (const name of TEXTS) signals.text(name, "y".repeat(5_000));
  assert.ok(signals.encode(columns([])).length < 65_536 / 2);
  signals.number("no.such", 1);
  signals.boolean("screen.width", true);
  assert.deepEqual(unknown, ["no.such", "screen.width"]);
});

test("a boolean may change its mind", () => {
  const signals = new SignalTable();
  signals.boolean("navigator.webdriver", true);
  signals.boolean("navigator.webdriver", false);
  assert.equal(hex(signals.encode(columns([]))), hex(table({ "navigator.webdriver": false }).encode(columns([]))));
});
