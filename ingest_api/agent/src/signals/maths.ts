/** Results of transcendental functions, and the engine's words for mistakes: both tell the engine whatever it says. */

import type { Signals } from "../types";
import { each, type Loose, take } from "./put";

const ARGUMENTS: Readonly<Record<string, readonly number[]>> = {
  acos: [0.12312423423423424],
  acosh: [1e308],
  asinh: [1],
  atanh: [0.5],
  cosh: [10],
  expm1: [1],
  log1p: [10],
  sinh: [1],
  tan: [-1e300],
  pow: [Math.PI, -100],
};

export function describeMaths(signals: Signals): void {
  each(signals, "category", "maths", (name) => String((Math as Loose)[name](...ARGUMENTS[name]!)));
  each(signals, "category", "maths_exact", (name) => {
    const [call, argument] = name.split("_");
    return String((Math as Loose)[call!](Number(argument)));
  });
}

/** Every result of `Math` at one argument. A worker and a frame run it too, so it holds on to nothing around it. */
export const mathsText = (maths: Loose): string =>
  ["acos", "acosh", "asinh", "atanh", "cosh", "exp", "expm1", "log1p", "sin", "sinh", "tan", "tanh", "cbrt"]
    .map((name) => maths[name](name === "acosh" ? 1.5 : 0.12312423423423424))
    .join();

/** The engine's words for a property of null; as above. */
export const nullMessage = (): string => {
  try {
    return String((null as Loose).missing);
  } catch (error) {
    return (error as Error).message;
  }
};

const MISTAKES: Readonly<Record<string, () => unknown>> = {
  undefined_call: () => (({}) as Loose).missing(),
  json_parse: () => JSON.parse("{bad"),
  invalid_date: () => new Date(NaN).toISOString(),
  invalid_regexp: () => new RegExp("("),
  array_length: () => new Array(-1),
  big_int_mix: () => (BigInt(1) as Loose) + 1,
  stack_overflow: () => depth(() => undefined),
  invalid_base64: () => atob("*"),
  constant_assigned: () => Object.defineProperty(Object.freeze({ x: 1 }), "x", { value: 2 }),
  symbol_constructed: () => new (Symbol as Loose)(),
  dom_hierarchy: () => document.createTextNode("").appendChild(document.createTextNode("")),
  number_precision: () => (1).toFixed(101),
  not_iterable: () => new Map(1 as Loose),
};

export function describeMistakes(signals: Signals): void {
  take(signals, "category", "error_message", { null_property: nullMessage });
  for (const [name, mistake] of Object.entries(MISTAKES)) {
    take(signals, "category", "error_message", {
      [name]: () => {
        try {
          mistake();
        } catch (error) {
          return (error as Error).message;
        }
        return undefined;
      },
    });
  }
}

/** Calls itself until the engine refuses. */
function depth(deeper: () => void): void {
  deeper();
  depth(deeper);
}

/** How many calls the stack holds. */
export function stackDepth(): number {
  let calls = 0;
  try {
    depth(() => calls++);
  } catch {
    return calls;
  }
  return calls;
}
