/** navigator, client hints, screen and viewport. */

import type { Signals } from "../types";
import { ask, type Loose, take, within } from "./put";

const HINTS = ["architecture", "bitness", "model", "platformVersion", "fullVersionList", "wow64", "formFactors"];
const HINTS_MS = 1_000;

interface Brand {
  brand: string;
  version: string;
}

export function describeNavigator(signals: Signals): void {
  const it: Loose = navigator;
  const connection: Loose = it.connection ?? {};
  take(signals, "number", "navigator", {
    hardware_concurrency: () => it.hardwareConcurrency,
    device_memory: () => it.deviceMemory,
    max_touch_points: () => it.maxTouchPoints,
    plugins_count: () => it.plugins.length,
    mime_types_count: () => it.mimeTypes.length,
    languages_count: () => it.languages.length,
    history_length: () => history.length,
    connection_downlink: () => connection.downlink,
    connection_rtt: () => connection.rtt,
    properties_count: () => Object.getOwnPropertyNames(Navigator.prototype).length,
  });
  take(signals, "boolean", "navigator", {
    webdriver: () => it.webdriver,
    cookie_enabled: () => it.cookieEnabled,
    online: () => it.onLine,
    pdf_viewer_enabled: () => it.pdfViewerEnabled,
    do_not_track: () => it.doNotTrack === "1" || it.doNotTrack === "yes",
    global_privacy_control: () => it.globalPrivacyControl === true,
    java_enabled: () => it.javaEnabled(),
    save_data: () => connection.saveData,
    has_user_agent_data: () => "userAgentData" in it,
    has_build_id: () => "buildID" in it,
    has_vibrate: () => "vibrate" in it,
    has_share: () => "share" in it,
  });
  take(signals, "category", "navigator", {
    platform: () => it.platform,
    vendor: () => it.vendor,
    vendor_sub: () => it.vendorSub,
    product_sub: () => it.productSub,
    language: () => it.language,
    connection_type: () => connection.effectiveType,
    oscpu: () => it.oscpu,
    app_name: () => it.appName,
  });
  take(signals, "text", "navigator", {
    user_agent: () => it.userAgent,
    languages: () => it.languages.join(","),
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
  take(signals, "number", "client_hints", {
    brand_version: () => parseFloat(significant(low.brands)!.version),
    brands_count: () => low.brands.length,
  });
  take(signals, "boolean", "client_hints", { mobile: () => low.mobile, wow64: () => high.wow64 });
  take(signals, "category", "client_hints", {
    platform: () => low.platform,
    platform_version: () => high.platformVersion,
    architecture: () => high.architecture,
    bitness: () => high.bitness,
    brand: () => significant(low.brands)!.brand,
    model: () => high.model,
  });
  take(signals, "boolean", "client_hint", {
    low_entropy_consistent: () =>
      high.platform === low.platform && high.mobile === low.mobile && listed(high.brands) === listed(low.brands),
    wow64_known: () => typeof high.wow64 === "boolean",
  });
  take(signals, "category", "client_hint", {
    full_version: () => significant(high.fullVersionList)!.version,
    brands: () => listed(low.brands),
    form_factors: () => high.formFactors.join(),
    platform_low_entropy: () => low.platform,
  });
}

export function describeScreen(signals: Signals): void {
  const it: Loose = screen;
  take(signals, "number", "screen", {
    width: () => it.width,
    height: () => it.height,
    avail_width: () => it.availWidth,
    avail_height: () => it.availHeight,
    color_depth: () => it.colorDepth,
    pixel_depth: () => it.pixelDepth,
    device_pixel_ratio: () => devicePixelRatio,
    inner_width: () => innerWidth,
    inner_height: () => innerHeight,
    outer_width: () => outerWidth,
    outer_height: () => outerHeight,
    window_x: () => screenX,
    window_y: () => screenY,
    orientation_angle: () => it.orientation?.angle ?? (window as Loose).orientation,
    viewport_scale: () => visualViewport?.scale,
  });
  take(signals, "boolean", "screen", {
    is_extended: () => it.isExtended,
    fullscreen: () => !!document.fullscreenElement || matchMedia("(display-mode: fullscreen)").matches,
    orientation_landscape: () => (it.orientation ? it.orientation.type.startsWith("landscape") : it.width > it.height),
  });
}

export function describeViewport(signals: Signals): void {
  const root = document.documentElement;
  const bar = (name: string) => () => (window as Loose)[name].visible;
  const area = safeArea();
  take(signals, "number", "viewport", {
    document_width: () => root.scrollWidth,
    document_height: () => root.scrollHeight,
    client_width: () => root.clientWidth,
    client_height: () => root.clientHeight,
    scroll_bar_width: () => innerWidth - root.clientWidth,
    visual_width: () => visualViewport?.width,
    visual_height: () => visualViewport?.height,
    zoom: () => Math.round((100 * outerWidth) / innerWidth) / 100,
    safe_area_top: () => area![0],
    safe_area_bottom: () => area![1],
    frames_count: () => window.length,
    elements_count: () => document.getElementsByTagName("*").length,
  });
  take(signals, "boolean", "viewport", {
    has_focus: () => document.hasFocus(),
    visible: () => document.visibilityState === "visible",
    menu_bar: bar("menubar"),
    tool_bar: bar("toolbar"),
    location_bar: bar("locationbar"),
    personal_bar: bar("personalbar"),
    status_bar: bar("statusbar"),
    scroll_bars: bar("scrollbars"),
  });
}

/** CSS px at top and bottom that a notch or a home bar covers. */
function safeArea(): number[] | undefined {
  const probe = document.createElement("div");
  probe.style.position = "fixed";
  probe.style.visibility = "hidden";
  probe.style.paddingTop = "env(safe-area-inset-top)";
  probe.style.paddingBottom = "env(safe-area-inset-bottom)";
  document.documentElement.appendChild(probe);
  try {
    const style = getComputedStyle(probe);
    return [parseFloat(style.paddingTop), parseFloat(style.paddingBottom)];
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
