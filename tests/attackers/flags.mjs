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

/** Firefox, as quiet: the preferences of tests/browsers/launch.mjs, and a proxy at which nobody listens. */
export const firefoxPrefs = (proxy) => ({
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
  "network.proxy.type": 1,
  "network.proxy.http": "127.0.0.1",
  "network.proxy.http_port": proxy,
  "network.proxy.ssl": "127.0.0.1",
  "network.proxy.ssl_port": proxy,
});
