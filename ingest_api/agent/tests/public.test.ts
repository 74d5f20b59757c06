/** What merchants see: the types that are shipped are those of the sources, and both forms offer the same calls. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createContext, runInContext } from "node:vm";
import type * as Public from "../src/public";
import type { Options } from "../src/types";

const bundle = (name: string): string => join(import.meta.dirname, "../bundle", name);
/** Does not compile where one of the two knows an option that the other lacks, or knows it as something else. */
const both = (shipped: Public.Options, ours: Options): [Options, Public.Options] => [shipped, ours];
const CALLS: Record<keyof typeof Public, string> = {
  start: "function",
  flush: "function",
  mark: "function",
  stop: "function",
  lastEventId: "function",
  eventIds: "function",
  version: "string",
};
const kinds = (api: object): Record<string, string> =>
  Object.fromEntries(Object.entries(api).map(([name, member]) => [name, typeof member]));

test("the script defines one global, which a second copy leaves alone; the module exports the same", async () => {
  assert.equal(both.length, 2);
  const page = createContext({});
  const script = readFileSync(bundle("clickgoose.js"), "utf8");
  runInContext(script, page);
  const first = page["clickgoose"] as object;
  assert.deepEqual(Object.keys(page), ["clickgoose"]);
  assert.deepEqual(kinds(first), CALLS);
  runInContext(script, page);
  assert.equal(page["clickgoose"], first);
  assert.deepEqual(kinds((await import(bundle("clickgoose.mjs"))) as object), CALLS);
});

test("an element of that name does not stand in the script's way", () => {
  const page = createContext({ clickgoose: { tagName: "DIV" } });
  runInContext(readFileSync(bundle("clickgoose.js"), "utf8"), page);
  assert.deepEqual(kinds(page["clickgoose"] as object), CALLS);
});
