/** Installed fonts by the width of text on a canvas, which needs no element and no layout. */

import type { Signals } from "../types";
import { ask, each, type Loose, members, type Run, take } from "./put";

const LETTERS = "mmMwWLliI0O&1";
const METRIC_TEXT = "Cwm fjord \u{1F603}";
const BASES = ["monospace", "sans-serif", "serif"];
const SIZE = "48px";
/** Names of version 1 that are not the font's own in small letters. */
const NAMES: Readonly<Record<string, string>> = {
  comic_sans: "Comic Sans MS",
  dejavu_sans: "DejaVu Sans",
  ms_gothic: "MS Gothic",
  segoe_ui: "Segoe UI",
};
/** A task looks fonts up for so long: the system may have to search each. */
const TASK_MS = 10;

function context(): CanvasRenderingContext2D {
  return document.createElement("canvas").getContext("2d")!;
}

function width(on: CanvasRenderingContext2D, families: string, text = LETTERS): number {
  on.font = `${SIZE} ${families}`;
  return on.measureText(text).width;
}

const words = (name: string): string =>
  NAMES[name] ??
  name
    .split("_")
    .map((word) => word[0]!.toUpperCase() + word.slice(1))
    .join(" ");

/** Looks for all fonts, a few in each task. */
export async function describeFonts(signals: Signals, run: Run): Promise<void> {
  const wanted: [family: string, member: string][] = [
    ...members("boolean", "fonts").map((member): [string, string] => ["fonts", member]),
    ...members("boolean", "font").map((member): [string, string] => ["font", member]),
  ];
  const found: string[] = [];
  let looked = 0;
  let done = false;
  while (looked < wanted.length) {
    const before = looked;
    await run(() => {
      const end = performance.now() + TASK_MS;
      const on = ask(context);
      const plain = ask(() => BASES.map((base) => width(on!, base)));
      done = !!plain;
      do {
        const [family, member] = wanted[looked++]!;
        const name = words(member);
        const there = plain && BASES.some((base, at) => width(on!, `"${name}", ${base}`) !== plain[at]);
        take(signals, "boolean", family, { [member]: () => there });
        if (there) found.push(name);
      } while (looked < wanted.length && performance.now() < end);
    });
    if (looked === before) break; // stopped
  }
  const whole = done && looked === wanted.length;
  take(signals, "number", "fonts", { count: () => (whole ? found.length : undefined) });
  take(signals, "category", "fonts", { list: () => (whole ? found.join() : undefined) });
}

export function describeFontWidths(signals: Signals): void {
  each(signals, "number", "font_width", (family) => width(context(), family));
}

export function describeTextMetrics(signals: Signals): void {
  each(signals, "number", "text_metric", (metric) => {
    const on = context();
    on.font = `${SIZE} serif`;
    return (on.measureText(METRIC_TEXT) as Loose)[metric];
  });
}
