/**
 * What the build takes out of the bundle, so that it stays small: sources of fingerprintjs that nobody asks, and the
 * text of signal names that only serve to find a position; and what it puts together from a library's own parts.
 *
 * A family whose members are arguments (`interface.PaymentRequest`) needs its names. Of every other family only twelve
 * bits a name are kept, `#<slot>`: the upper bits of a product of the name's hash and a seed under which no two names
 * of a kind meet. `SignalTable` looks names up in the same way.
 */

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Families that collectors go through name by name (`each`, `look` and `members` of src/signals/put.ts). */
export const ARGUMENTS = [
  ...["altered", "botd", "can_play", "client_hint", "client_hints", "css", "css_property", "css_selector", "font"],
  ...["font_width", "fonts", "frame", "frame_page", "interface", "navigator", "screen", "sound", "viewport", "webgl"],
  ...["maths", "maths_exact", "media_query", "media_source", "navigator_member", "permission", "permissions", "recorder"],
  ...["system_color", "system_font", "text_metric", "webgl2_extension", "webgl2_parameter", "webgl_extension"],
  ...["webgl_parameter", "webgl_precision", "webgpu", "window_member", "worker", "worker_interface", "worker_page"],
];
/** `sjcl-core`: core files of sjcl, whose own build has more than sealing and signing need. */
const SJCL_PARTS = ["sjcl", "aes", "bitArray", "codecBytes", "gcm", "sha256", "hmac"];
const SLOT_BITS = 12;
const KINDS = ["NUMBERS", "BOOLEANS", "CATEGORIES", "TEXTS"];
/**
 * Sources of fingerprintjs that the agent does without: those that src/signals/fingerprint.ts leaves out, the list of
 * what ad blockers hide, which is as long as the rest, and those that other collectors have asked already.
 */
const UNASKED = [
  ...["screenFrame", "audioBaseLatency", "privateClickMeasurement", "domBlockers"],
  ...["colorDepth", "deviceMemory", "hardwareConcurrency", "sessionStorage", "localStorage", "indexedDB", "openDatabase"],
  ...["platform", "vendor", "cookiesEnabled", "invertedColors", "forcedColors", "monochrome", "reducedMotion"],
  ...["reducedTransparency", "hdr", "pdfViewerEnabled"],
];

/** Resolves `sjcl-core`. */
export const sjclCore = {
  name: "sjcl-core",
  setup(plugins) {
    const folder = join(dirname(fileURLToPath(import.meta.url)), "node_modules/sjcl/core");
    plugins.onResolve({ filter: /^sjcl-core$/ }, () => ({ path: "node_modules/sjcl/core", namespace: "sjcl-core" }));
    plugins.onLoad({ filter: /.*/, namespace: "sjcl-core" }, () => {
      const parts = SJCL_PARTS.map((name) => readFileSync(join(folder, `${name}.js`), "utf8"));
      return { contents: [...parts, "export default sjcl;"].join("\n") };
    });
  },
};

/** 32-bit FNV-1a of an ASCII name, as src/hash.ts has it. */
function hash(name) {
  let state = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) state = Math.imul(state ^ name.charCodeAt(at), 0x01000193);
  return state >>> 0 || 1;
}

const slot = (hashed, seed) => Math.imul(hashed, seed) >>> (32 - SLOT_BITS);

/** The first odd seed under which these names have slots of their own. */
function seedFor(names) {
  const hashes = names.map(hash);
  for (let seed = 0x9e3779b1; ; seed = (seed + 2) >>> 0) {
    if (new Set(hashes.map((one) => slot(one, seed))).size === names.length) return seed;
  }
}

/** One list as the text of a call that unpacks it, and its seed. */
function packList(names) {
  const plain = (name) => ARGUMENTS.includes(name.split(".")[0]);
  const seed = seedFor(names.filter((name) => !plain(name)));
  const slots = names.filter((name) => !plain(name)).map((name) => slot(hash(name), seed));
  const lines = [];
  for (const name of names) {
    const at = name.indexOf(".");
    const [family, member] = plain(name) ? [name.slice(0, at), name.slice(at + 1)] : ["", ""];
    if (lines.at(-1)?.family !== family) lines.push({ family, members: [] });
    lines.at(-1).members.push(member);
  }
  const table = lines.map(({ family, members }) => (family ? [family, ...members].join(" ") : `${members.length}`));
  return { seed, call: `unpack(${JSON.stringify(table.join("|"))}, ${JSON.stringify(base64(slots))})` };
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Two digits a slot. */
const base64 = (slots) => slots.map((one) => DIGITS[one >> 6] + DIGITS[one & 63]).join("");

const UNPACK = `function unpack(table, slots) {
  let at = 0;
  const digit = () => "${DIGITS}".indexOf(slots[at++]);
  return table.split("|").flatMap((line) => {
    const [family, ...members] = line.split(" ");
    return +family
      ? Array.from({ length: +family }, () => "#" + (64 * digit() + digit()))
      : members.map((member) => family + "." + member);
  });
}`;

/** The TypeScript of a module that stands in for src/catalogue.ts, and the seeds by kind (`NAME_SEEDS`). */
export function packCatalogue(catalogue) {
  const lists = KINDS.map((kind) => packList(catalogue[kind]));
  const { CATALOGUE_VERSION, CODES, TARGETS } = catalogue;
  const codes = Object.entries(CODES).map(([name, code]) => `${name} = ${code}`);
  const constants = Object.entries({ CATALOGUE_VERSION, TARGETS });
  const source = [
    UNPACK,
    ...KINDS.map((kind, at) => `export const ${kind} = /* @__PURE__ */ ${lists[at].call};`),
    `export enum CODES { ${codes.join(", ")} }`, // whose members esbuild puts in where they are used
    ...constants.map(([name, value]) => `export const ${name} = ${JSON.stringify(value)};`),
  ].join("\n");
  return { source, seeds: lists.map(({ seed }) => seed) };
}

/** The component hash of fingerprintjs; ours hashes the text that it would hash. */
const HASHED = "return x64hash128(componentsToCanonicalString(components));";

/** The library without what is never asked; fails where it has changed its form. */
export function trimFingerprint(source) {
  const cuts = [...UNASKED.map((name) => [new RegExp(`^    ${name}: \\w+,\\n`, "m"), ""]), [HASHED, HASHED.replace("x64hash128", "")]];
  return cuts.reduce((text, [from, to]) => {
    const cut = text.replace(from, to);
    if (cut === text) throw new Error(`fingerprintjs has no ${from} any more: see pack.mjs`);
    return cut;
  }, source);
}
