/** navigator, client hints, screen and viewport. */

import type { Signals } from "../types";
import { ask, each, look, type Loose, take, within } from "./put";

const HINTS = ["architecture", "bitness", "model", "platformVersion", "fullVersionList", "wow64", "formFactors"];
const HINTS_MS = 1_000;

interface Brand {
  brand: string;
  version: string;
}

export function describeNavigator(signals: Signals): void {
  const it: Loose = navigator;
  const connection: Loose = it.connection ?? {};
  look(signals, "navigator", [it], {
    history_length: () => history.length,
    connection_downlink: () => connection.downlink,
    connection_rtt: () => connection.rtt,
    connection_type: () => connection.effectiveType,
    save_data: () => connection.saveData,
    properties_count: () => Object.getOwnPropertyNames(Navigator.prototype).length,
    online: () => it.onLine,
    do_not_track: () => it.doNotTrack === "1" || it.doNotTrack === "yes",
    global_privacy_control: () => it.globalPrivacyControl === true,
    java_enabled: () => it.javaEnabled(),
    has_build_id: () => "buildID" in it,
    languages: () => it.languages.join(),
  });
}

/** The brand that names the browser: neither the made-up one nor Chromium, unless that is all. */
function significant(brands: readonly Brand[]): Brand | undefined {
  const real = brands.filter(({ brand }) => !/not.a.brand/i.test(brand));
  return real.find(({ brand }) => brand !== "Chromium") ?? real[0];
}

const listed = (brands: readonly Brand[]): string => brands.map(({ brand, version }) => `${brand} ${version}`).join();

export async function describeClientHints(signals: Signals): Promise<void> {
  const low: Loose = (navigator as Loose).userAgentData;
  const high: Loose = await within(HINTS_MS, () => low?.getHighEntropyValues(HINTS));
  look(signals, "client_hints", [low, high], {
    brand_version: () => parseFloat(significant(low.brands)!.version),
    brand: () => significant(low.brands)!.brand,
  });
  look(signals, "client_hint", [], {
    low_entropy_consistent: () =>
      high.platform === low.platform && high.mobile === low.mobile && listed(high.brands) === listed(low.brands),
    wow64_known: () => typeof high.wow64 === "boolean",
    full_version: () => significant(high.fullVersionList)!.version,
    brands: () => listed(low.brands),
    form_factors: () => high.formFactors.join(),
    platform_low_entropy: () => low.platform,
  });
}

export function describeScreen(signals: Signals): void {
  const { orientation }: Loose = screen;
  look(signals, "screen", [screen, window], {
    window_x: () => screenX,
    window_y: () => screenY,
    orientation_angle: () => orientation?.angle ?? (window as Loose).orientation,
    viewport_scale: () => visualViewport?.scale,
    fullscreen: () => !!document.fullscreenElement || matchMedia("(display-mode: fullscreen)").matches,
    orientation_landscape: () =>
      orientation ? orientation.type.startsWith("landscape") : screen.width > screen.height,
  });
}

export function describeViewport(signals: Signals): void {
  const root = document.documentElement;
  const area = ask(safeArea);
  look(signals, "viewport", [root], {
    document_width: () => root.scrollWidth,
    document_height: () => root.scrollHeight,
    scroll_bar_width: () => innerWidth - root.clientWidth,
    visual_width: () => visualViewport?.width,
    visual_height: () => visualViewport?.height,
    zoom: () => Math.round((100 * outerWidth) / innerWidth) / 100,
    safe_area_top: () => area![0],
    safe_area_bottom: () => area![1],
    frames_count: () => window.length,
    elements_count: () => document.getElementsByTagName("*").length,
    has_focus: () => document.hasFocus(),
    visible: () => document.visibilityState === "visible",
  });
  // `menu_bar` is `menubar`, and so on; whether scroll bars lie over the page is measured elsewhere.
  each(signals, "boolean", "viewport", (name) => (window as Loose)[name.replace("_", "")].visible);
}

/** CSS px at top and bottom that a notch or a home bar covers. */
function safeArea(): number[] {
  const probe = document.createElement("div");
  const { style } = probe;
  style.position = "fixed";
  style.visibility = "hidden";
  style.paddingTop = "env(safe-area-inset-top)";
  style.paddingBottom = "env(safe-area-inset-bottom)";
  document.documentElement.appendChild(probe);
  try {
    const { paddingTop, paddingBottom } = getComputedStyle(probe);
    return [parseFloat(paddingTop), parseFloat(paddingBottom)];
  } finally {
    probe.remove();
  }
}

/** Distances between the screen's edges and what windows may cover. */
export function describeScreenFrame(signals: Signals): void {
  const it: Loose = screen;
  take(signals, "number", "fingerprint", {
    screen_frame_top: () => it.availTop,
    screen_frame_right: () => it.width - it.availWidth - it.availLeft,
    screen_frame_bottom: () => it.height - it.availHeight - it.availTop,
    screen_frame_left: () => it.availLeft,
  });
}

export function describePlugins(signals: Signals): void {
  const plugins: Loose[] = ask(() => Array.from(navigator.plugins)) ?? [];
  const types: Loose[] = ask(() => Array.from(navigator.mimeTypes)) ?? [];
  const named = (pattern: RegExp) => () => plugins.some(({ name }) => pattern.test(name));
  take(signals, "boolean", "plugin", {
    pdf: named(/pdf/i),
    native_client: named(/native client/i),
    widevine: named(/widevine/i),
    flash: named(/flash/i),
    consistent: () =>
      Object.getPrototypeOf(navigator.plugins) === PluginArray.prototype &&
      plugins.every((one) => Object.getPrototypeOf(one) === Plugin.prototype) &&
      types.every((one) => Object.getPrototypeOf(one) === MimeType.prototype && plugins.includes(one.enabledPlugin)),
  });
  take(signals, "category", "plugin", {
    list: () => plugins.map(({ name, filename }) => `${name} ${filename}`).join(),
    mime_types: () => types.map(({ type, suffixes }) => `${type} ${suffixes}`).join(),
  });
}
