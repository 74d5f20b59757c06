/** Bundles the tests (TypeScript) and runs them with Node's own runner; `--write-vectors` writes our byte vectors. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { sjclCore } from "../pack.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const out = mkdtempSync(join(here, "../node_modules/.tests-"));
const names = readdirSync(here).filter((name) => name.endsWith(".test.ts") || name === "write_vectors.ts");

await build({
  absWorkingDir: here,
  entryPoints: names,
  outdir: out,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node18",
  sourcemap: "inline",
  define: { "import.meta.dirname": JSON.stringify(here), AGENT_VERSION: '"test"', NAME_SEEDS: "undefined" },
  plugins: [sjclCore],
  external: ["esbuild"],
  tsconfigRaw: {},
  logLevel: "error",
});

const compiled = names.filter((name) => name.endsWith(".test.ts")).map((name) => join(out, name.replace(".ts", ".mjs")));
const wanted = process.argv.slice(2);
const run = wanted.includes("--write-vectors")
  ? [join(out, "write_vectors.mjs")]
  : ["--enable-source-maps", "--test", ...compiled.filter((file) => !wanted.length || wanted.some((one) => basename(file).startsWith(one)))];
process.exitCode = spawnSync(process.execPath, run, { stdio: "inherit" }).status ?? 1;
rmSync(out, { recursive: true });
