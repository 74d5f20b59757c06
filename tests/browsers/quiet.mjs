// Preferences of a Firefox that asks nobody anything by itself: of every one that tests start.
export const FIREFOX_PREFS = {
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
