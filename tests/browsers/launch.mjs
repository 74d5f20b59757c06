// Starts the browsers that Debian ships, quiet: a profile of their own, and nothing beyond loopback.
import puppeteer from "puppeteer-core";

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

const FIREFOX_PREFS = {
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "network.dns.disablePrefetch": true,
  "network.prefetch-next": false,
  "network.trr.mode": 5,
  "browser.safebrowsing.update.enabled": false,
  "browser.topsites.contile.enabled": false,
  "browser.region.update.enabled": false,
  "browser.search.update": false,
  "extensions.getAddons.cache.enabled": false,
  "extensions.systemAddon.update.enabled": false,
  "media.gmp-manager.updateEnabled": false,
  "services.settings.server": "data:,",
  "toolkit.telemetry.enabled": false,
};

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
