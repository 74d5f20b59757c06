/** Whether functions and accessors of the browser are still its own. Nothing is changed to find out. */

import type { Signals } from "../types";
import { each, type Loose, scope } from "./put";

/** Error reporters of honest pages wrap these. */
const OFTEN_WRAPPED = new Set(["EventTarget.addEventListener"]);
const TOOL = /phantomjs|puppeteer|pptr:|playwright|utilityscript|selenium|webdriver|nightmare|cypress/i;

export interface Traces {
  native_code_altered: boolean;
  prototype_altered: boolean;
  proxy_detected: boolean;
  error_stack_marker: boolean;
}

/** A member as the page has it: the object that owns it and its descriptor. */
function find(name: string): { owner: Loose; member: string; descriptor: PropertyDescriptor | undefined } | undefined {
  const path = name.split(".");
  const member = path.pop()!;
  if (path.join() === "Window")
    return { owner: window, member, descriptor: Object.getOwnPropertyDescriptor(window, member) };
  let at: Loose = scope;
  for (const part of path) at = at?.[part];
  if (at === undefined) return undefined;
  if (typeof at === "function" && path[path.length - 1] !== "prototype" && !(member in at)) at = at.prototype;
  if (member === "stack") at = new Error("x");
  return member in at ? { owner: at, member, descriptor: Object.getOwnPropertyDescriptor(at, member) } : undefined;
}

/** `print` is `Function.prototype.toString` of a fresh frame, which a script of this page has not replaced. */
export function describeNative(signals: Signals, print: (one: Loose) => string): Traces {
  const traces: Traces = {
    native_code_altered: false,
    prototype_altered: false,
    proxy_detected: false,
    error_stack_marker: false,
  };
  const instances: Readonly<Record<string, Loose>> = { Navigator: navigator, Screen: screen };
  each(signals, "boolean", "altered", (name) => {
    const found = find(name);
    if (!found) return undefined;
    const { owner, member, descriptor } = found;
    const code = descriptor?.get ?? descriptor?.value;
    if (member === "stack") return typeof code === "function" && !/\[native code\]/.test(print(code));
    const printed = nativeName(code && print(code));
    const replaced = printed !== member;
    const odd =
      hasOwn(instances[name.split(".")[0]!], member) || hasOwn(code, "prototype") || answersAnyone(owner, descriptor);
    if (OFTEN_WRAPPED.has(name)) return replaced || odd;
    // Of a proxy the engine prints native code without a name; so it does of a bound function, which is called so.
    if (printed === "" && !code.name.startsWith("bound ")) traces.proxy_detected = true;
    if (replaced) traces.native_code_altered = true;
    if (odd) traces.prototype_altered = true;
    if (replaced && descriptor?.get && TOOL.test(refusal(descriptor.get))) traces.error_stack_marker = true;
    return replaced || odd;
  });
  return traces;
}

/** The name in `function name() { [native code] }`, also with `get`; undefined where something else is printed. */
function nativeName(printed: string | undefined): string | undefined {
  return /^function (?:get )?([\w$]*)\(\) ?\{\s*\[native code\]\s*\}$/.exec(printed ?? "")?.[1];
}

function hasOwn(one: Loose, name: string): boolean {
  return one !== undefined && one !== null && Object.prototype.hasOwnProperty.call(one, name);
}

/** An accessor of the browser refuses an object that is not its own; those of window take the window for it. */
function answersAnyone(owner: Loose, descriptor: PropertyDescriptor | undefined): boolean {
  return !!descriptor?.get && owner !== window && refusal(descriptor.get) === "";
}

/** The stack of what an accessor throws at a foreign object: it shows through which functions it came. */
function refusal(get: () => unknown): string {
  try {
    get.call({});
    return "";
  } catch (error) {
    return String((error as Error)?.stack ?? error);
  }
}
