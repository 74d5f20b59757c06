/** The bundle finds every signal at the position that the sources have, though most names are only twelve bits there. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { transform } from "esbuild";
import { ARGUMENTS, packCatalogue, trimFingerprint } from "../pack.mjs";
import * as catalogue from "../src/catalogue";
import { categoryHash } from "../src/hash";

const KINDS = ["NUMBERS", "BOOLEANS", "CATEGORIES", "TEXTS"] as const;
async function load(source: string): Promise<typeof catalogue> {
  const { code } = await transform(source, { loader: "ts" });
  return import(`data:text/javascript;base64,${Buffer.from(code).toString("base64")}`) as Promise<typeof catalogue>;
}

test("every name is there, or found by its slot, at its position and nowhere else", async () => {
  const { source, seeds } = packCatalogue(catalogue);
  const packed = await load(source);
  assert.equal(packed.CATALOGUE_VERSION, catalogue.CATALOGUE_VERSION);
  assert.deepEqual(packed.TARGETS, catalogue.TARGETS);
  for (const [name, code] of Object.entries(catalogue.CODES)) assert.equal((packed.CODES as Record<string, number>)[name], code);
  for (const [at, kind] of KINDS.entries()) {
    const slot = (name: string): string => `#${Math.imul(categoryHash(name), seeds[at] ?? 0) >>> 20}`;
    const positions = new Map(packed[kind].map((name, position) => [name, position]));
    assert.equal(positions.size, catalogue[kind].length);
    for (const [position, name] of catalogue[kind].entries()) {
      assert.equal(positions.get(name) ?? positions.get(slot(name)), position, name);
    }
  }
});

test("families that collectors go through keep their names", async () => {
  const packed = await load(packCatalogue(catalogue).source);
  const folder = join(import.meta.dirname, "../src/signals");
  const sources = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8")).join("\n");
  const families = [...sources.matchAll(/\b(?:each|members|look)\([^;)]*?"(\w+)"(?=[,)])(?!, ")/g)].map((match) => match[1] ?? "");
  assert.ok(families.length > 15);
  for (const family of families) assert.ok(ARGUMENTS.includes(family), family);
  for (const kind of KINDS) {
    const of = (names: readonly string[]): string[] => names.filter((name) => ARGUMENTS.includes(name.split(".")[0] ?? ""));
    assert.deepEqual(of(packed[kind]), of(catalogue[kind]));
  }
});

test("a library that has changed its form stops the build", () => {
  assert.throws(() => trimFingerprint("const sources = {};"), /fingerprintjs has no/);
});
