// Drives one browser: a JSON step per line on standard input, a JSON answer per line on standard output.
//
//   node drive.mjs '{"browser": "chromium", "executable": "/usr/bin/chromium", "profile": "/tmp/x", "headless": true}'
//   > {"do": "goto", "url": "http://127.0.0.1:8080/checkout"}
//   < {"ok": true, "value": null}
//
// The end of the input closes the browser.
import { createInterface } from "node:readline";

import { launch } from "./launch.mjs";
import { openRefuser } from "./refuser.mjs";
import { Steps } from "./steps.mjs";

const options = JSON.parse(process.argv[2]);
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

const refuser = await openRefuser();
const browser = await launch(options, refuser.port);
const close = async () => {
  await browser.close();
  refuser.close();
};

try {
  const steps = await Steps.begin(browser, options, refuser.asked);
  say({ ok: true, value: { pid: browser.process().pid, version: await browser.version() } });
  for await (const line of createInterface({ input: process.stdin })) {
    const { do: name, ...given } = JSON.parse(line);
    try {
      say({ ok: true, value: (await steps.run(name, given)) ?? null });
    } catch (error) {
      say({ ok: false, error: String(error?.message ?? error) });
    }
  }
} finally {
  await close();
}
