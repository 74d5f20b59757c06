/** The vector payload, version 1, byte for byte as `schemas/payload.py` lays it out. */

import { type Bytes, utf8, view } from "./bytes";
import { BOOLEANS, CATALOGUE_VERSION, CATEGORIES, NUMBERS, TEXTS } from "./catalogue";
import { categoryHash } from "./hash";
import type { Signals } from "./types";

const PAYLOAD_VERSION = 1;
const PREFIX_BYTES = 16;
const ABSENT_TEXT = 0xffff;
const ENTRY_BYTES = 11;
/** No honest text is longer; the tail of all texts stays well below what one event may weigh. */
const TEXT_BYTES = 2_048;
const ALL_TEXT_BYTES = 24_576;

/** Columns of the activity log: ms since navigation start, the codes' values, codes, targets. */
export interface Entries {
  time: readonly number[];
  value: readonly number[];
  code: readonly number[];
  target: readonly number[];
}

export const NO_ENTRIES: Entries = { time: [], value: [], code: [], target: [] };

/**
 * In the bundle most signals are named `#<slot>` instead (see pack.mjs): by the upper bits of a product of their name's
 * hash and the seed of their kind. Undefined where the names are whole.
 */
declare const NAME_SEEDS: readonly [number, number, number, number] | undefined;
const SLOT_SHIFT = 20;

const positions = (names: readonly string[]): Map<string, number> => new Map(names.map((name, at) => [name, at]));

/** All signals known so far, by their wire positions. A name that the catalogue lacks is passed to `unknown`. */
export class SignalTable implements Signals {
  /** Goes up with every signal taken, so that a batch can tell whether there is anything new. */
  changes = 0;
  private readonly at = [positions(NUMBERS), positions(BOOLEANS), positions(CATEGORIES), positions(TEXTS)] as const;
  private readonly numbers = new Float32Array(NUMBERS.length).fill(NaN);
  private readonly known = new Uint8Array((BOOLEANS.length + 7) >> 3);
  private readonly values = new Uint8Array((BOOLEANS.length + 7) >> 3);
  private readonly categories = new Uint32Array(CATEGORIES.length);
  private readonly texts: (Bytes | undefined)[] = TEXTS.map(() => undefined);
  private textBytes = 0;

  constructor(private readonly unknown: (name: string) => void = () => undefined) {}

  number(name: string, value: number | null | undefined): void {
    const at = this.place(0, name);
    const narrow = typeof value === "number" ? Math.fround(value) : NaN;
    if (at !== undefined && Number.isFinite(narrow)) this.numbers[at] = narrow;
  }

  boolean(name: string, value: boolean | null | undefined): void {
    const at = this.place(1, name);
    if (at === undefined || typeof value !== "boolean") return;
    const bit = 1 << (at & 7);
    this.known[at >> 3]! |= bit;
    if (value) this.values[at >> 3]! |= bit;
    else this.values[at >> 3]! &= ~bit;
  }

  category(name: string, value: string | null | undefined): void {
    const at = this.place(2, name);
    if (at !== undefined && typeof value === "string") this.categories[at] = categoryHash(value);
  }

  text(name: string, value: string | null | undefined): void {
    const at = this.place(3, name);
    if (at === undefined || typeof value !== "string") return;
    const bytes = cut(utf8(value.slice(0, TEXT_BYTES)), TEXT_BYTES);
    const total = this.textBytes - (this.texts[at]?.length ?? 0) + bytes.length;
    if (total > ALL_TEXT_BYTES) return;
    this.texts[at] = bytes;
    this.textBytes = total;
  }

  /** The payload's bytes with these entries of the activity log. */
  encode(entries: Entries): Bytes {
    const [categories, lengths, known, values, end] = PLACES;
    const count = entries.code.length;
    const body = new Uint8Array(end + ENTRY_BYTES * count + this.textBytes);
    const out = view(body);
    const counts = [NUMBERS.length, BOOLEANS.length, CATEGORIES.length, TEXTS.length, count];
    [PAYLOAD_VERSION, CATALOGUE_VERSION, ...counts].forEach((one, at) => out.setUint16(2 * at, one, true));
    this.numbers.forEach((value, at) => out.setFloat32(PREFIX_BYTES + 4 * at, value, true));
    this.categories.forEach((value, at) => out.setUint32(categories + 4 * at, value, true));
    body.set(this.known, known);
    body.set(this.values, values);
    writeEntries(out, end, entries);
    let at = end + ENTRY_BYTES * count;
    this.texts.forEach((text, position) => {
      out.setUint16(lengths + 2 * position, text ? text.length : ABSENT_TEXT, true);
      if (text) {
        body.set(text, at);
        at += text.length;
      }
    });
    return body;
  }

  private place(kind: 0 | 1 | 2 | 3, name: string): number | undefined {
    const at = this.at[kind].get(name) ?? (NAME_SEEDS && this.at[kind].get(slot(name, NAME_SEEDS[kind])));
    if (at === undefined) this.unknown(name);
    this.changes++;
    return at;
  }
}

/** Byte offsets of categories, text lengths, known bits, value bits, and the end of the fixed blocks. */
const PLACES = ((): readonly [number, number, number, number, number] => {
  const categories = PREFIX_BYTES + 4 * NUMBERS.length;
  const lengths = categories + 4 * CATEGORIES.length;
  const known = lengths + 2 * TEXTS.length;
  const bits = (BOOLEANS.length + 7) >> 3;
  const values = known + bits;
  return [categories, lengths, known, values, (values + bits + 3) & ~3];
})();

const slot = (name: string, seed: number): string => `#${Math.imul(categoryHash(name), seed) >>> SLOT_SHIFT}`;

/** The longest log that an event of this many bytes holds beside all signals. */
export function entriesIn(bytes: number): number {
  return Math.max(1, Math.floor((bytes - PLACES[4] - ALL_TEXT_BYTES) / ENTRY_BYTES));
}

function writeEntries(out: DataView, start: number, entries: Entries): void {
  const count = entries.code.length;
  for (let at = 0; at < count; at++) {
    out.setUint32(start + 4 * at, Math.min(Math.max(entries.time[at]!, 0), 0xffffffff), true);
    out.setFloat32(start + 4 * (count + at), entries.value[at]!, true);
    out.setUint16(start + 8 * count + 2 * at, entries.code[at]!, true);
    out.setUint8(start + 10 * count + at, entries.target[at]!);
  }
}

/** At most `limit` bytes of UTF-8, ended before a character that would not fit. */
function cut(bytes: Bytes, limit: number): Bytes {
  if (bytes.length <= limit) return bytes;
  let end = limit;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.slice(0, end);
}
