/**
 * The collectors and rules of fpscanner, one by one, on what the other collectors found. Left out are those of its
 * collectors that would print to the console, replace `Error.prepareStackTrace`, write to `navigator` or start a
 * worker, a frame and contexts of their own.
 */

import { hasBotUserAgent } from "fpscanner/src/detections/hasBotUserAgent";
import { hasCDP } from "fpscanner/src/detections/hasCDP";
import { hasContextMismatch } from "fpscanner/src/detections/hasContextMismatch";
import { hasGPUMismatch } from "fpscanner/src/detections/hasGPUMismatch";
import { hasHeadlessChromeScreenResolution } from "fpscanner/src/detections/hasHeadlessChromeScreenResolution";
import { hasHighCPUCount } from "fpscanner/src/detections/hasHighCPUCount";
import { hasImpossibleDeviceMemory } from "fpscanner/src/detections/hasImpossibleDeviceMemory";
import { hasInconsistentEtsl } from "fpscanner/src/detections/hasInconsistentEtsl";
import { hasMismatchLanguages } from "fpscanner/src/detections/hasMismatchLanguages";
import { hasMismatchPlatformIframe } from "fpscanner/src/detections/hasMismatchPlatformIframe";
import { hasMismatchPlatformWorker } from "fpscanner/src/detections/hasMismatchPlatformWorker";
import { hasMismatchWebGLInWorker } from "fpscanner/src/detections/hasMismatchWebGLInWorker";
import { hasMissingChromeObject } from "fpscanner/src/detections/hasMissingChromeObject";
import { hasPlatformMismatch } from "fpscanner/src/detections/hasPlatformMismatch";
import { hasPlaywright } from "fpscanner/src/detections/hasPlaywright";
import { hasSeleniumProperty } from "fpscanner/src/detections/hasSeleniumProperty";
import { hasSwiftshaderRenderer } from "fpscanner/src/detections/hasSwiftshaderRenderer";
import { hasUTCTimezone } from "fpscanner/src/detections/hasUTCTimezone";
import { hasWebdriver } from "fpscanner/src/detections/hasWebdriver";
import { hasWebdriverIframe } from "fpscanner/src/detections/hasWebdriverIframe";
import { hasWebdriverWorker } from "fpscanner/src/detections/hasWebdriverWorker";
import { hasWebdriverWritable } from "fpscanner/src/detections/hasWebdriverWritable";
import { browserExtensions } from "fpscanner/src/signals/browserExtensions";
import { cpuCount } from "fpscanner/src/signals/cpuCount";
import { etsl } from "fpscanner/src/signals/etsl";
import { internationalization } from "fpscanner/src/signals/internationalization";
import { languages } from "fpscanner/src/signals/languages";
import { maths } from "fpscanner/src/signals/maths";
import { memory } from "fpscanner/src/signals/memory";
import { navigatorPropertyDescriptors } from "fpscanner/src/signals/navigatorPropertyDescriptors";
import { platform } from "fpscanner/src/signals/platform";
import { playwright } from "fpscanner/src/signals/playwright";
import { screenResolution } from "fpscanner/src/signals/screenResolution";
import { hasSeleniumProperties } from "fpscanner/src/signals/seleniumProperties";
import { toSourceError } from "fpscanner/src/signals/toSourceError";
import { userAgent } from "fpscanner/src/signals/userAgent";
import { NA } from "fpscanner/src/signals/utils";
import type { Signals } from "../types";
import { answersOf } from "./codecs";
import { textUrl } from "./drawing";
import { ask, type Loose, take } from "./put";

/** What the other collectors found: contexts that are there already, and answers of worker and frame. */
export interface Found {
  graphics: [vendor: string, renderer: string] | undefined;
  gpuVendor: string | undefined;
  debuggerSeen: boolean | undefined;
  worker: Loose;
  frame: Loose;
}

type Rule = (fingerprint: Loose) => boolean;

const RULES: Readonly<Record<string, Rule>> = {
  headlessChromeScreenResolution: hasHeadlessChromeScreenResolution,
  hasWebdriver,
  hasWebdriverWritable,
  hasSeleniumProperty,
  hasCDP,
  hasPlaywright,
  hasImpossibleDeviceMemory,
  hasHighCPUCount,
  hasMissingChromeObject,
  hasSwiftshaderRenderer,
  hasUTCTimezone,
  hasMismatchLanguages,
  hasInconsistentEtsl,
  hasBotUserAgent,
  hasGPUMismatch,
  hasPlatformMismatch,
};
const FRAME_RULES: Readonly<Record<string, Rule>> = { hasWebdriverIframe, hasMismatchPlatformIframe };
const WORKER_RULES: Readonly<Record<string, Rule>> = {
  hasWebdriverWorker,
  hasMismatchWebGLInWorker,
  hasMismatchPlatformWorker,
};

/** A scope's answers as the library names them; `it` is a navigator, or what the worker said of its own. */
function context(it: Loose, webdriver: unknown): Loose {
  return {
    webdriver,
    userAgent: it?.userAgent ?? it?.user_agent ?? NA,
    platform: it?.platform ?? NA,
    memory: it?.deviceMemory ?? it?.device_memory ?? NA,
    cpuCount: it?.hardwareConcurrency ?? it?.hardware_concurrency ?? NA,
    language: it?.language ?? NA,
    vendor: it?.webgl_vendor ?? NA,
    renderer: it?.webgl_renderer ?? NA,
  };
}

/** Whether `navigator.webdriver` could be given another value, without giving it one. */
function webdriverWritable(): boolean {
  const own = Object.getOwnPropertyDescriptor(navigator, "webdriver");
  if (own || navigator.webdriver) return true;
  const inherited = Object.getOwnPropertyDescriptor(Navigator.prototype, "webdriver");
  return inherited ? !!inherited.set : Object.isExtensible(navigator);
}

function fingerprint({ graphics, gpuVendor, debuggerSeen, worker, frame }: Found): Loose {
  const low: Loose = (navigator as Loose).userAgentData;
  return {
    signals: {
      automation: {
        webdriver: navigator.webdriver,
        webdriverWritable: webdriverWritable(),
        selenium: hasSeleniumProperties(),
        cdp: debuggerSeen,
        playwright: playwright(),
      },
      device: { cpuCount: cpuCount(), memory: memory(), platform: platform(), screenResolution: screenResolution() },
      browser: {
        userAgent: userAgent(),
        features: { chrome: "chrome" in window, safari: "safari" in window },
        etsl: etsl(),
        highEntropyValues: { platform: low?.platform ?? NA },
      },
      graphics: {
        webGL: { vendor: graphics?.[0] ?? NA, renderer: graphics?.[1] ?? NA },
        webgpu: { vendor: gpuVendor ?? NA },
      },
      locale: { internationalization: internationalization(), languages: languages() },
      contexts: {
        iframe: context(frame?.navigator, frame?.navigator.webdriver),
        webWorker: context(worker?.worker, worker?.webdriver),
      },
    },
  };
}

export function describeRules(signals: Signals, found: Found): void {
  const whole = ask(() => fingerprint(found));
  const test = (rules: Readonly<Record<string, Rule>>, there: boolean): void => {
    for (const [name, rule] of Object.entries(rules)) {
      take(signals, "boolean", "fpscanner", { [name]: () => (whole && there ? rule(whole) : undefined) });
    }
  };
  test(RULES, true);
  test(FRAME_RULES, !!found.frame);
  test(WORKER_RULES, !!found.worker);
  const mismatch: Rule = (one) => {
    one.signals.contexts.webWorker.webdriver ??= navigator.webdriver; // which workers of today do not have
    return (
      (!!found.frame && hasContextMismatch(one, "iframe")) || (!!found.worker && hasContextMismatch(one, "worker"))
    );
  };
  test({ hasContextMismatch: mismatch }, !!(found.frame || found.worker));
}

export function describeScanned(signals: Signals): void {
  const { plugins } = navigator;
  take(signals, "boolean", "fpscanner", {
    modified_canvas: () => {
      const context = document.createElement("canvas").getContext("2d")!;
      return context.getImageData(0, 0, 1, 1).data.some((value) => value !== 0);
    },
    valid_plugin_array: () => String(plugins) === "[object PluginArray]",
    plugin_overflow: () => plugins.item(2 ** 32) !== plugins[0],
    to_source: () => (toSourceError() as Loose).hasToSource,
  });
  take(signals, "category", "fpscanner", {
    extensions: () => browserExtensions().bitmask,
    descriptors: navigatorPropertyDescriptors,
    maths,
    canvas: () => ("buildID" in navigator ? undefined : textUrl()), // Firefox adds noise of its own to each session
    codecs_audio: () => answersOf("audio"),
    codecs_video: () => answersOf("video"),
  });
}
