// Clients that are Playwright: plain, with the stealth plugin, with an injector, and patched.
import { newInjectedContext } from "fingerprint-injector";
import { chromium as patchright } from "patchright-core";
import { chromium as playwright } from "playwright-core";
import { addExtra } from "playwright-extra";
import stealth from "puppeteer-extra-plugin-stealth";

import { chromiumFlags } from "./flags.mjs";
import { handsOf } from "./shopping.mjs";

const options = ({ chromium, proxy }, headless = true) => ({
  executablePath: chromium,
  headless,
  args: chromiumFlags(proxy),
});

async function launched(tool, given, more = {}, context = (browser) => browser.newContext()) {
  const browser = await tool.launch({ ...options(given), ...more });
  const page = await (await context(browser)).newPage();
  return handsOf(page, `Chrome/${browser.version()}`, () => browser.close());
}

/** In a window with a profile and no viewport of its own, which is how Patchright says that it is best hidden. */
async function persistent(tool, given, headless) {
  const context = await tool.launchPersistentContext(given.profile, { ...options(given, headless), viewport: null });
  const page = context.pages()[0] ?? (await context.newPage());
  return handsOf(page, `Chrome/${context.browser()?.version() ?? ""}`, () => context.close());
}

const withStealth = () => {
  const extra = addExtra(playwright);
  extra.use(stealth());
  return extra;
};

export const PLAYWRIGHT = {
  playwright: { packages: ["playwright-core"], open: (given) => launched(playwright, given) },
  "playwright-headed": { packages: ["playwright-core"], open: (given) => launched(playwright, given, { headless: false }) },
  "playwright-stealth": {
    packages: ["playwright-extra", "puppeteer-extra-plugin-stealth", "playwright-core"],
    open: (given) => launched(withStealth(), given),
  },
  "playwright-injector": {
    packages: ["fingerprint-injector", "fingerprint-generator", "playwright-core"],
    open: (given) =>
      launched(playwright, given, {}, (browser) =>
        newInjectedContext(browser, { fingerprintOptions: { browsers: ["chrome"], devices: ["desktop"] } }),
      ),
  },
  patchright: { packages: ["patchright-core"], open: (given) => persistent(patchright, given, true) },
  "patchright-headed": { packages: ["patchright-core"], open: (given) => persistent(patchright, given, false) },
};
