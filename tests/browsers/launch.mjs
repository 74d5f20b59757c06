// Starts the browsers that Debian ships, quiet: a profile of their own, and nothing beyond loopback.
import puppeteer from "puppeteer-core";

import { FIREFOX_PREFS } from "./quiet.mjs";

const CHROMIUM_ARGS = [
  "--no-first-run",
  "--no-default-browser-check",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-domain-reliability",
  "--disable-features=AutofillServerCommunication,NetworkTimeServiceQuerying,OptimizationHints",
  "--disable-quic",
  "--disable-sync",
  "--metrics-recording-only",
  "--password-store=basic",
];

export function launch({ browser, executable, profile, headless = true, insecure = false, args = [], slow = 0 }, proxyPort) {
  const common = { executablePath: executable, userDataDir: profile, headless, acceptInsecureCerts: insecure, slowMo: slow };
  if (browser === "firefox") {
    const proxy = {
      "network.proxy.type": 1,
      "network.proxy.http": "127.0.0.1",
      "network.proxy.http_port": proxyPort,
      "network.proxy.ssl": "127.0.0.1",
      "network.proxy.ssl_port": proxyPort,
    };
    return puppeteer.launch({ ...common, browser, args, extraPrefsFirefox: { ...FIREFOX_PREFS, ...proxy } });
  }
  const root = process.getuid?.() === 0 ? ["--no-sandbox"] : []; // Chromium's sandbox refuses to run as root
  const proxy = `--proxy-server=http://127.0.0.1:${proxyPort}`;
  return puppeteer.launch({ ...common, args: [...CHROMIUM_ARGS, proxy, ...root, ...args] });
}
