/** Traces that automation leaves: globals, markers in stacks, and what a debugger's client makes the engine do. */

import type { Signals } from "../types";
import type { Frame } from "./frame";
import { describeNative } from "./native";
import { ask, type Loose, take } from "./put";

const GLOBALS: Readonly<Record<string, RegExp>> = {
  cdc_globals: /^\$?cdc_[a-z]|^\$chrome_asyncScriptInfo$/i,
  playwright_globals: /^__(?:pw|playwright)/i,
  puppeteer_globals: /puppeteer|^__pptr/i,
  selenium_globals:
    /selenium|^__(?:webdriver|driver|fxdriver)|^__\$webdriver|^(?:webdriver|ChromeDriverw)$|^__lastWatir|^_WEBDRIVER_ELEM/i,
  phantom_globals: /^(?:callPhantom|_phantom|phantom|__phantomas)$/,
  nightmare_globals: /^(?:__)?nightmare$/,
  dom_automation: /^domAutomation(?:Controller)?$/,
  awesomium: /^awesomium$/,
};
const SCRIPT_OF_TOOL = /pptr:|__(?:puppeteer|playwright)_evaluation_script__|UtilityScript/;
/** CSS px between window and viewport: more than a side bar, more than tabs, address bar and bookmarks. */
const PANEL_WIDE = 250;
const PANEL_HIGH = 320;

/** `stack` is that of the call that started the agent. */
export function describeAutomation(signals: Signals, frame: Frame, stack: string): void {
  const names = [...Object.getOwnPropertyNames(window), ...Object.getOwnPropertyNames(document)];
  const patterns = Object.entries(GLOBALS).map(
    ([name, pattern]) => [name, () => names.some((one) => pattern.test(one))] as const,
  );
  take(signals, "boolean", "automation", {
    ...Object.fromEntries(patterns),
    sequentum: () => /sequentum/i.test(String((window as Loose).external)),
    webdriver_attribute: () =>
      document.documentElement.getAttributeNames().some((name) => /selenium|webdriver|driver/i.test(name)),
    navigator_own_properties: () => Object.getOwnPropertyNames(navigator).length > 0,
    languages_inconsistent: () => navigator.languages[0] !== navigator.language,
    source_url_marker: () => SCRIPT_OF_TOOL.test(stack),
  });
  const native: Loose = ask(() => frame.window.Function.prototype.toString) ?? Function.prototype.toString;
  const print = (one: Loose): string => native.call(one);
  const traces = describeNative(signals, print);
  take(signals, "boolean", "automation", {
    native_code_altered: () => traces.native_code_altered,
    prototype_altered: () => traces.prototype_altered,
    proxy_detected: () => traces.proxy_detected,
    error_stack_marker: () => traces.error_stack_marker,
    webdriver_altered: () => alteredWebdriver(print),
    console_wrapped: () =>
      (["log", "debug", "info", "warn", "error"] as const).some(
        (name) => !/\[native code\]/.test(print(console[name])),
      ),
  });
}

function alteredWebdriver(print: (one: Loose) => string): boolean {
  const descriptor = Object.getOwnPropertyDescriptor(Navigator.prototype, "webdriver");
  const own = Object.getOwnPropertyDescriptor(navigator, "webdriver");
  return (
    !!own || !descriptor?.get || !/^function (?:get )?webdriver\(\) ?\{\s*\[native code\]/.test(print(descriptor.get))
  );
}

/**
 * A client of the debugger makes the engine format what goes to the console, and so the stack of an error: with its
 * own function of the frame's realm. The console is the frame's too, so that no reporter of the page hears of it.
 */
export function describeDebugger(signals: Signals, { window: it }: Frame): boolean | undefined {
  let formatted = false;
  const probed = ask(() => {
    it.Error.prepareStackTrace = () => {
      formatted = true;
      return "";
    };
    it.console.debug(new it.Error(""));
    delete it.Error.prepareStackTrace;
    return true;
  });
  const panel = (): boolean => outerWidth - innerWidth > PANEL_WIDE || outerHeight - innerHeight > PANEL_HIGH;
  take(signals, "boolean", "automation", {
    cdp_runtime: () => probed && formatted,
    devtools_open: () => probed && formatted && panel(),
  });
  return probed && formatted;
}
