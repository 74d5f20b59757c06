/** CSS properties, selectors and media features. */

import type { Signals } from "../types";
import { each, take } from "./put";

const MEDIA: Readonly<Record<string, string>> = {
  hover: "hover: hover",
  any_hover: "any-hover: hover",
  pointer_fine: "pointer: fine",
  pointer_coarse: "pointer: coarse",
  any_pointer_fine: "any-pointer: fine",
  any_pointer_coarse: "any-pointer: coarse",
  dark_scheme: "prefers-color-scheme: dark",
  reduced_motion: "prefers-reduced-motion: reduce",
  reduced_transparency: "prefers-reduced-transparency: reduce",
  more_contrast: "prefers-contrast: more",
  less_contrast: "prefers-contrast: less",
  forced_colors: "forced-colors: active",
  inverted_colors: "inverted-colors: inverted",
  gamut_srgb: "color-gamut: srgb",
  gamut_p3: "color-gamut: p3",
  gamut_rec2020: "color-gamut: rec2020",
  hdr: "dynamic-range: high",
  display_standalone: "display-mode: standalone",
};
const MOST_BITS = 64;

const matches = (query: string): boolean => matchMedia(`(${query})`).matches;

export function describeMedia(signals: Signals): void {
  take(signals, "number", "css", {
    monochrome_bits: () => {
      for (let bits = 0; bits <= MOST_BITS; bits++) if (matches(`max-monochrome: ${bits}`)) return bits;
      return undefined;
    },
  });
  each(signals, "boolean", "css", (name) => matches(MEDIA[name]!));
  each(signals, "boolean", "media_query", (name) => matches(name.replace("_", ": ")));
}

export function describeProperties(signals: Signals): void {
  each(signals, "boolean", "css_property", (name) => CSS.supports(name, "initial"));
}

export function describeSelectors(signals: Signals): void {
  each(signals, "boolean", "css_selector", (name) => CSS.supports(`selector(:${name.replace(/_/g, " ")})`));
}
