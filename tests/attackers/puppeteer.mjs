// Clients that are Puppeteer: plain, with plugins, with scripts, in a window, with Firefox.
import { newInjectedPage } from "fingerprint-injector";
import puppeteer from "puppeteer-core";
import { addExtra } from "puppeteer-extra";
import stealth from "puppeteer-extra-plugin-stealth";
import rebrowser from "rebrowser-puppeteer-core";

import { chromiumFlags, firefoxPrefs } from "./flags.mjs";
import { handsOf } from "./shopping.mjs";
import { hideWebdriver, spoofEverything } from "./spoof.mjs";

const WINDOW = { width: 1280, height: 900 };

const chromium = ({ chromium, profile, proxy }, more = {}, flags = []) => ({
  executablePath: chromium,
  userDataDir: profile,
  headless: true,
  ...more,
  args: [...chromiumFlags(proxy), ...flags],
});

/** Without a viewport of its own, as a page in a window has none. */
const headed = { headless: false, defaultViewport: null };
const windowFlags = [`--window-size=${WINDOW.width},${WINDOW.height}`];

async function begin(tool, options, prepare = async () => {}, make = firstPage) {
  const browser = await tool.launch(options);
  const page = await make(browser);
  page.setDefaultTimeout(20_000);
  await prepare(page);
  return handsOf(page, await browser.version(), () => browser.close());
}

const firstPage = async (browser) => (await browser.pages())[0] ?? browser.newPage();

/** Plugins do not reach the page that the browser opened by itself. */
const newPage = (browser) => browser.newPage();

/** A page with the fingerprint of somebody else: a desktop's Chrome, drawn from the generator's own network. */
const injected = (browser) =>
  newInjectedPage(browser, { fingerprintOptions: { browsers: ["chrome"], devices: ["desktop"], operatingSystems: ["windows"] } });

const withStealth = () => {
  const extra = addExtra(puppeteer);
  extra.use(stealth());
  return extra;
};

const quietFirefox = ({ firefox, profile, proxy }, more = {}) => ({
  browser: "firefox",
  executablePath: firefox,
  userDataDir: profile,
  headless: true,
  ...more,
  extraPrefsFirefox: { ...firefoxPrefs(proxy), ...more.prefs },
});

export const PUPPETEER = {
  puppeteer: { packages: ["puppeteer-core"], open: (given) => begin(puppeteer, chromium(given)) },
  "puppeteer-old-headless": {
    packages: ["puppeteer-core"],
    open: (given) => begin(puppeteer, { ...chromium(given), executablePath: given.shell, headless: "shell" }),
  },
  "puppeteer-headed": {
    packages: ["puppeteer-core"],
    open: (given) => begin(puppeteer, chromium(given, headed, windowFlags)),
  },
  "puppeteer-no-flag": {
    packages: ["puppeteer-core"],
    open: (given) =>
      begin(puppeteer, {
        ...chromium(given, headed, [...windowFlags, "--disable-blink-features=AutomationControlled"]),
        ignoreDefaultArgs: ["--enable-automation"],
      }),
  },
  "puppeteer-stealth": {
    packages: ["puppeteer-extra-plugin-stealth", "puppeteer-core"],
    open: (given) => begin(withStealth(), chromium(given), undefined, newPage),
  },
  "puppeteer-stealth-headed": {
    packages: ["puppeteer-extra-plugin-stealth", "puppeteer-core"],
    open: (given) => begin(withStealth(), chromium(given, headed, windowFlags), undefined, newPage),
  },
  "fingerprint-injector": {
    packages: ["fingerprint-injector", "fingerprint-generator", "puppeteer-core"],
    open: (given) => begin(puppeteer, chromium(given), undefined, injected),
  },
  "init-script": {
    packages: ["puppeteer-core"],
    open: (given) => begin(puppeteer, chromium(given), (page) => page.evaluateOnNewDocument(spoofEverything)),
  },
  "init-script-headed": {
    packages: ["puppeteer-core"],
    open: (given) => begin(puppeteer, chromium(given, headed, windowFlags), (page) => page.evaluateOnNewDocument(hideWebdriver)),
  },
  rebrowser: { packages: ["rebrowser-puppeteer-core"], open: (given) => begin(rebrowser, chromium(given)) },
  "rebrowser-headed": {
    packages: ["rebrowser-puppeteer-core"],
    open: (given) =>
      begin(rebrowser, {
        ...chromium(given, headed, [...windowFlags, "--disable-blink-features=AutomationControlled"]),
        ignoreDefaultArgs: ["--enable-automation"],
      }),
  },
  "firefox-bidi": { packages: ["puppeteer-core"], open: (given) => begin(puppeteer, quietFirefox(given)) },
  "firefox-bidi-headed": {
    packages: ["puppeteer-core"],
    open: (given) => begin(puppeteer, quietFirefox(given, headed)),
  },
  "firefox-bidi-no-flag": {
    packages: ["puppeteer-core"],
    open: (given) =>
      begin(puppeteer, quietFirefox(given, { ...headed, prefs: { "dom.webdriver.enabled": false } }), (page) =>
        page.evaluateOnNewDocument(hideWebdriver),
      ),
  },
};
