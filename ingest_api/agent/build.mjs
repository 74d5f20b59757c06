/**
 * Builds `bundle/` from `src/`: the same bytes on every machine. `--check` compares only.
 *
 *   clickgoose.js    plain script, global `clickgoose`      clickgoose.d.ts   its types
 *   clickgoose.mjs   ES module                              NOTICE.txt        licences of what is inside
 *   manifest.json    sizes and integrity
 */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { minify } from "terser";
import { packCatalogue, sjclCore, trimFingerprint } from "./pack.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const BUNDLE = join(HERE, "bundle");
const MOST_GZIP_BYTES = 60_000;
const SCRIPTS = [
  { file: "clickgoose.js", entry: "src/script.ts", format: "iife" },
  { file: "clickgoose.mjs", entry: "src/main.ts", format: "esm" },
];
/** esbuild removes what is unused; terser then finds what is shorter, and names that compress better. */
const SMALLER = { ecma: 2020, module: true, compress: { ecma: 2020, passes: 2 }, format: { ascii_only: true } };
const { version, license } = readJson(join(HERE, "package.json"));
const BANNER = `/*! clickgoose ${version} ${license}; what is inside besides: NOTICE.txt */`;

function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** The catalogue's table as it is written in src/. */
async function readCatalogue() {
  const built = await build({ absWorkingDir: HERE, entryPoints: ["src/catalogue.ts"], format: "esm", write: false });
  return import(`data:text/javascript;base64,${Buffer.from(built.outputFiles[0].contents).toString("base64")}`);
}

/** Replaces what pack.mjs makes smaller while the sources are read. */
const packed = (catalogue) => ({
  name: "packed",
  setup(plugins) {
    plugins.onLoad({ filter: /src\/catalogue\.ts$/ }, () => ({ contents: catalogue, loader: "ts" }));
    plugins.onLoad({ filter: /fingerprintjs\/dist\/fp\.esm\.js$/ }, ({ path }) => ({
      contents: trimFingerprint(readFileSync(path, "utf8")),
    }));
  },
});

/** Bundles one script; returns its bytes and the files that went into it. */
async function bundle({ entry, format }, { source, seeds }) {
  const built = await build({
    absWorkingDir: HERE,
    entryPoints: [entry],
    format,
    bundle: true,
    minify: true,
    treeShaking: true,
    write: false,
    metafile: true,
    target: "es2020",
    platform: "browser",
    charset: "ascii",
    legalComments: "none",
    define: { AGENT_VERSION: JSON.stringify(version), NAME_SEEDS: JSON.stringify(seeds) },
    tsconfig: join(HERE, "tsconfig.json"),
    plugins: [sjclCore, packed(source)],
    logLevel: "error",
  });
  const { code } = await minify(built.outputFiles[0].text, SMALLER);
  return { bytes: Buffer.from(`${BANNER}\n${code}\n`), inputs: Object.keys(built.metafile.inputs) };
}

/** Names of the packages that these files belong to. */
function packagesOf(inputs) {
  const names = inputs.flatMap((path) => /(?:^|:)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []);
  return [...new Set(names)].sort();
}

function notice(packages) {
  const parts = packages.map((name) => {
    const folder = join(HERE, "node_modules", name);
    const about = readJson(join(folder, "package.json"));
    const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
    const text = file ? readFileSync(join(folder, file), "utf8").replaceAll("\r\n", "\n").trim() : about.license;
    return `${name} ${about.version} (${about.license})\n\n${text}\n`;
  });
  const head = `clickgoose ${version} is licensed under ${license}. Its bundle contains parts of:\n`;
  return [head, ...parts].join(`\n${"-".repeat(80)}\n\n`);
}

function measures(bytes) {
  return {
    bytes: bytes.length,
    gzip_bytes: gzipSync(bytes, { level: 9 }).length,
    integrity: `sha384-${createHash("sha384").update(bytes).digest("base64")}`,
  };
}

/** Returns every file of the bundle by name. */
async function make() {
  const catalogue = packCatalogue(await readCatalogue());
  const scripts = await Promise.all(SCRIPTS.map(async (one) => [one.file, await bundle(one, catalogue)]));
  const files = Object.fromEntries(scripts.map(([file, { bytes }]) => [file, measures(bytes)]));
  const manifest = `${JSON.stringify({ version, files }, null, 2)}\n`;
  const packages = packagesOf(scripts.flatMap(([, { inputs }]) => inputs));
  return {
    ...Object.fromEntries(scripts.map(([file, { bytes }]) => [file, bytes])),
    "clickgoose.d.ts": readFileSync(join(HERE, "src/public.d.ts")),
    "NOTICE.txt": Buffer.from(notice(packages)),
    "manifest.json": Buffer.from(manifest),
  };
}

/** The manifest without what depends on this machine's zlib rather than on the sources. */
function comparable(name, bytes) {
  return name === "manifest.json" ? bytes.toString().replace(/"gzip_bytes": \d+/g, "") : bytes.toString("latin1");
}

function differing(files) {
  const kept = existsSync(BUNDLE) ? readdirSync(BUNDLE) : [];
  const same = (name) =>
    kept.includes(name) &&
    name in files &&
    comparable(name, readFileSync(join(BUNDLE, name))) === comparable(name, files[name]);
  return [...new Set([...kept, ...Object.keys(files)])].filter((name) => !same(name)).sort();
}

function fail(sentence) {
  console.error(sentence);
  process.exitCode = 1;
}

const files = await make();
const sizes = SCRIPTS.map(({ file }) => [file, JSON.parse(files["manifest.json"]).files[file].gzip_bytes]);
const heavy = sizes.filter(([, bytes]) => bytes > MOST_GZIP_BYTES);
if (process.argv.includes("--check")) {
  const names = differing(files);
  if (names.length) fail(`The agent's bundle is not what its sources give (${names.join(", ")}): run \`make agent\`.`);
} else {
  mkdirSync(BUNDLE, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(BUNDLE, name), bytes);
  console.log(sizes.map(([file, bytes]) => `${file}: ${bytes} bytes gzip`).join("\n"));
}
for (const [file, bytes] of heavy) fail(`${file} has ${bytes} bytes gzip; at most ${MOST_GZIP_BYTES} are allowed.`);
