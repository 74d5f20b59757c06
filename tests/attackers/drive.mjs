// One visit of one automated client to the demo shop: it opens the checkout, fills in the form, pays and leaves.
//
//   node drive.mjs '{"client": "puppeteer", "url": "http://127.0.0.1:8080/checkout", "style": "typed", "seed": 1,
//                    "chromium": "/usr/bin/chromium", "profile": "/tmp/x", "proxy": 9}'
//   < {"version": "puppeteer-core 24.43.1, Chrome/156.0.0.0"}
import { readFileSync } from "node:fs";

import { PLAYWRIGHT } from "./playwright.mjs";
import { PUPPETEER } from "./puppeteer.mjs";
import { SELENIUM } from "./selenium.mjs";
import { shop } from "./shopping.mjs";

const options = JSON.parse(process.argv[2]);
const client = { ...PUPPETEER, ...PLAYWRIGHT, ...SELENIUM }[options.client];
if (!client) throw new Error(`there is no client ${options.client}`);

const versionOf = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;

const hands = await client.open(options);
try {
  await shop(hands, options);
} finally {
  await hands.close();
}
const tools = client.packages.map((name) => `${name} ${versionOf(name)}`);
process.stdout.write(`${JSON.stringify({ version: [...tools, hands.version].join(", ") })}\n`);
