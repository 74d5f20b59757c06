// Clients that are Selenium: plain, with the flags that people copy, and with a chromedriver that is changed.
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { Builder, By, Origin } from "selenium-webdriver";
import chrome from "selenium-webdriver/chrome.js";

import { chromiumFlags } from "./flags.mjs";
import { hideWebdriver } from "./spoof.mjs";

const STEALTH_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";

/** Chromedriver copies natives to variables that begin with cdc_; undetected-chromedriver takes that out of the file. */
function patchedDriver({ chromedriver, profile }) {
  const patched = join(profile, "..", "chromedriver-patched");
  const file = readFileSync(chromedriver, "latin1");
  const block = /\{window\.cdc[^}]*;\}/.exec(file);
  if (!block) throw new Error("This chromedriver has no variables that begin with cdc_.");
  const nothing = `{${" ".repeat(block[0].length - 2)}}`;
  writeFileSync(patched, file.replace(block[0], nothing), "latin1");
  chmodSync(patched, 0o755);
  return patched;
}

async function open(given, { flags = [], driver = given.chromedriver, hidden = false, early = null } = {}) {
  const options = new chrome.Options();
  options.setChromeBinaryPath(given.chromium);
  options.addArguments(...chromiumFlags(given.proxy), `--user-data-dir=${given.profile}`, ...flags);
  if (hidden) {
    options.excludeSwitches("enable-automation");
    options.set("goog:chromeOptions", { ...options.get("goog:chromeOptions"), useAutomationExtension: false });
  }
  const service = new chrome.ServiceBuilder(driver);
  const browser = await new Builder().forBrowser("chrome").setChromeOptions(options).setChromeService(service).build();
  if (early) {
    await browser.sendAndGetDevToolsCommand("Page.addScriptToEvaluateOnNewDocument", { source: `(${early})()` });
  }
  const capabilities = await browser.getCapabilities();
  return handsOf(browser, `Chrome/${capabilities.getBrowserVersion()}`);
}

function handsOf(browser, version) {
  const found = (selector) => browser.findElement(By.css(selector));
  return {
    version,
    close: () => browser.quit(),
    goto: (url) => browser.get(url),
    evaluate: (expression) => browser.executeScript(`return (${expression});`),
    click: (selector) => found(selector).click(),
    type: (selector, text) => found(selector).sendKeys(text),
    move: (x, y) => browser.actions().move({ x: Math.round(x), y: Math.round(y), origin: Origin.VIEWPORT }).perform(),
  };
}

const HEADLESS = ["--headless"];
const QUIET_FLAGS = ["--disable-blink-features=AutomationControlled", "--window-size=1280,900", "--start-maximized"];

export const SELENIUM = {
  selenium: { packages: ["selenium-webdriver"], open: (given) => open(given, { flags: HEADLESS }) },
  "selenium-stealth-flags": {
    packages: ["selenium-webdriver"],
    open: (given) =>
      open(given, {
        flags: [...HEADLESS, ...QUIET_FLAGS, `--user-agent=${STEALTH_AGENT}`],
        hidden: true,
        early: hideWebdriver,
      }),
  },
  "selenium-headed": { packages: ["selenium-webdriver"], open: (given) => open(given) },
  "selenium-undetected": {
    packages: ["selenium-webdriver"],
    open: (given) => open(given, { flags: QUIET_FLAGS, driver: patchedDriver(given), hidden: true }),
  },
};
