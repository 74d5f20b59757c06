import { FIREFOX_PREFS } from "../browsers/quiet.mjs";

// Flags of every Chromium here: quiet, without a graphics card, and nothing beyond loopback.
export const chromiumFlags = (proxy) => [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--no-default-browser-check",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  `--proxy-server=http://127.0.0.1:${proxy}`,
];

/** Firefox, as quiet: the preferences of tests/browsers/quiet.mjs, and a proxy at which nobody listens. */
export const firefoxPrefs = (proxy) => ({
  ...FIREFOX_PREFS,
  "network.proxy.type": 1,
  "network.proxy.http": "127.0.0.1",
  "network.proxy.http_port": proxy,
  "network.proxy.ssl": "127.0.0.1",
  "network.proxy.ssl_port": proxy,
});
