/** The components of fingerprintjs, one by one. Its agent, which counts installations, is never loaded. */

import { hashComponents, sources } from "@fingerprintjs/fingerprintjs";
import type { Signals } from "../types";
import { type Loose, type Run, take, within } from "./put";

const SOURCE_MS = 2_000;
/**
 * Left out: `screenFrame` ends the full screen and keeps a timer; `audioBaseLatency` and `webGl*` open contexts that
 * are open already (see `components`); `privateClickMeasurement` says nothing today.
 */
const LEFT_OUT = new Set([
  "screenFrame",
  "audioBaseLatency",
  "privateClickMeasurement",
  "webGlBasics",
  "webGlExtensions",
]);
const GRAPHICS = ["webGlBasics", "webGlExtensions"];
const WHOLE = [
  "userAgentData",
  "fonts",
  "fontPreferences",
  "audio",
  "osCpu",
  "languages",
  "screenResolution",
  "timezone",
  "cpuClass",
  "plugins",
  "touchSupport",
  "vendorFlavors",
  "colorGamut",
  "math",
  "dateTimeLocale",
  "webGlBasics",
];
const FONTS = ["default", "apple", "serif", "sans", "mono", "min", "system"];
/** The same widths by the names of version 1. */
const WIDTHS = ["default", "serif", "sans", "mono", "system"];

type Component = { value: unknown; duration: number } | { error: unknown; duration: number };

/** Asks one source, which may answer in two steps, both of which may be late. */
async function component(name: string, cache: Loose): Promise<Component> {
  const source: Loose = (sources as Loose)[name];
  let failure: unknown;
  const value = await within(SOURCE_MS, async () => {
    try {
      const loaded = await source({ cache, debug: false });
      return typeof loaded === "function" ? await loaded() : loaded;
    } catch (error) {
      failure = error;
    }
  });
  return failure === undefined ? { value, duration: 0 } : { error: failure, duration: 0 };
}

/** `gl` is a context that is open already; the library's own cache is where it would keep its own. */
export async function describeFingerprint(signals: Signals, gl: Loose, run: Run): Promise<void> {
  const cache = { webgl: { context: gl } };
  const names = [...Object.keys(sources).filter((name) => !LEFT_OUT.has(name)), ...GRAPHICS];
  const found: Record<string, Component> = {};
  await Promise.all(
    names.map(async (name) => {
      found[name] = (await run(() => component(name, cache))) ?? { error: "stopped", duration: 0 };
    }),
  );
  await run(() => describeComponents(signals, found));
}

function describeComponents(signals: Signals, found: Record<string, Component>): void {
  const value = (name: string): Loose => (found[name] as Loose)?.value;
  const text = (one: Loose): string | undefined => (one === undefined ? undefined : JSON.stringify(one));
  for (const name of WHOLE) take(signals, "category", "fingerprint", { [name]: () => text(value(name)) });
  take(signals, "category", "fingerprint", {
    visitor: () => (Object.keys(found).length ? hashComponents(found as Loose) : undefined),
    canvas_geometry: () => text(value("canvas").geometry),
    canvas_text: () => text(value("canvas").text),
    webGlExtensions_parameters: () => text(value("webGlExtensions").parameters),
    webGlExtensions_shader: () => text(value("webGlExtensions").shaderPrecisions),
    webGlExtensions_list: () => text(value("webGlExtensions").extensions),
    webGlExtensions_unsupported: () => text(value("webGlExtensions").unsupportedExtensions),
  });
  for (const font of FONTS)
    take(signals, "number", "fingerprint", { [`font_${font}`]: () => value("fontPreferences")[font] });
  for (const font of WIDTHS)
    take(signals, "number", "fonts", { [`width_${font}`]: () => value("fontPreferences")[font] });
  take(signals, "number", "fingerprint", {
    contrast: () => value("contrast"),
    architecture: () => value("architecture"),
    apple_pay: () => value("applePay"),
  });
}
