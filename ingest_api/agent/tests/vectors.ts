/** What this side writes, with fixed ids, nonces and times: `tests/golden/vectors/agent.json`, which Python reads. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hex, unhex } from "../src/bytes";
import { BOOLEANS, CATALOGUE_VERSION, CATEGORIES, CODES, NUMBERS, TARGETS, TEXTS } from "../src/catalogue";
import { packBeacon, packFrames } from "../src/frames";
import { categoryHash } from "../src/hash";
import { type Entries, NO_ENTRIES, SignalTable } from "../src/payload";
import { packHeader, Sealer } from "../src/seal";
import { readKey } from "../src/session";
import { signNow } from "../src/sign";
import { keyString } from "./world";

export type Value = number | boolean | string;

export interface Event {
  name: string;
  signals: Record<string, Value>;
  activity: { t: number; code: number; value: number; target: number }[];
}

export const VECTORS = join(import.meta.dirname, "../../../tests/golden/vectors");
export const golden = (name: string): unknown => JSON.parse(readFileSync(join(VECTORS, `${name}.json`), "utf8"));

/** A table with these signals: the catalogue says of which kind each is. */
export function table(signals: Record<string, Value>): SignalTable {
  const filled = new SignalTable((name) => {
    throw new Error(`the catalogue has no ${name}`);
  });
  for (const [name, value] of Object.entries(signals)) {
    if (typeof value === "number") filled.number(name, value);
    else if (typeof value === "boolean") filled.boolean(name, value);
    else if (CATEGORIES.includes(name)) filled.category(name, value);
    else filled.text(name, value);
  }
  return filled;
}

export const columns = (activity: Event["activity"]): Entries => ({
  time: activity.map((entry) => entry.t),
  value: activity.map((entry) => entry.value),
  code: activity.map((entry) => entry.code),
  target: activity.map((entry) => entry.target),
});

const filledWith = (names: readonly string[], value: (at: number, name: string) => Value): [string, Value][] =>
  names.map((name, at) => [name, value(at, name)]);

const EVENTS: Event[] = [
  { name: "nothing", signals: {}, activity: [] },
  {
    name: "every signal",
    signals: Object.fromEntries([
      ...filledWith(NUMBERS, (at) => at / 2 - 10),
      ...filledWith(BOOLEANS, (at) => at % 3 === 0),
      ...filledWith(CATEGORIES, (_, name) => `of ${name}`),
      ...filledWith(TEXTS, (_, name) => `of ${name}`),
    ]),
    activity: Object.values(CODES).map((code, at) => ({ t: 250 * at, code, value: at / 4, target: at % 23 })),
  },
  {
    name: "extremes",
    signals: {
      "screen.width": 3.4028234663852886e38,
      "screen.window_x": -0,
      "navigator.webdriver": false,
      "navigator.vendor": "",
      "navigator.platform": "lone \ud800 and \udc00, paired \ud83e\udd85",
      "page.title": "",
      "page.referrer": "\u00e4\u5ba2\ud83e\udd85",
    },
    activity: [
      { t: 0, code: 0, value: 0, target: 0 },
      { t: 4294967295, code: 65535, value: -1.5, target: TARGETS.other_text },
    ],
  },
];
const TEXTS_TO_HASH = ["", "a", "foobar", "IwPSdT", "\u00e4\u5ba2\ud83e\udd85", "\ud800", "x\udc00y", "\udfff\ud800"];
const SENT_AT = 1_790_000_000_123;
const TOKEN = "header.claims.signature";

export function agentVectors(): object {
  const key = readKey(keyString());
  if (!key) throw new Error("the key of the tests cannot be read");
  const sealer = new Sealer(key.seal, undefined);
  const events = EVENTS.map((event, sequence) => {
    const body = table(event.signals).encode(columns(event.activity));
    const ids = { deviceId: bytes(0xb0, 16), eventId: bytes(0xc0 + sequence, 16) };
    const header = packHeader({ keyId: key.keyId, sessionId: key.sessionId, ...ids, sequence, sentAt: SENT_AT });
    const nonce = bytes(0xd0 + sequence, 12);
    const sealed = sealer.sealNow(header, body, nonce);
    return { ...event, body, header, sealed, sequence, device_id: hex(ids.deviceId), event_id: hex(ids.eventId) };
  });
  const frames = packFrames(events.map((event) => event.sealed));
  const signature = signNow(key.sign, frames, SENT_AT);
  const { keyId, sessionId, seal, sign } = key;
  return {
    catalogue: CATALOGUE_VERSION,
    key: keyString(),
    key_parts: { key_id: keyId, session_id: hex(sessionId), seal: hex(seal), sign: hex(sign) },
    sent_at: SENT_AT,
    hashes: Object.fromEntries(TEXTS_TO_HASH.map((text) => [text, categoryHash(text)])),
    events: events.map((event) => ({ ...event, body: hex(event.body), header: hex(event.header), sealed: hex(event.sealed) })),
    frames: hex(frames),
    signature,
    token: TOKEN,
    beacon: hex(packBeacon(TOKEN, signature, frames)),
  };
}

export const emptyBody = (): Uint8Array => new SignalTable().encode(NO_ENTRIES);

function bytes(first: number, count: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: count }, (_, at) => (first + at) & 0xff);
}

/** JSON in ASCII, so that a lone surrogate survives every tool on its way. */
export function text(vectors: object): string {
  const escape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return `${JSON.stringify(vectors, null, 1).replace(/[\u0080-\uffff]/g, escape)}\n`;
}

export { hex, unhex };
