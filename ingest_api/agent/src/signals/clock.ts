/** Clocks, the cost of fixed work, and how the page was loaded. */

import type { Signals } from "../types";
import { stackDepth } from "./maths";
import { type Loose, pause, take, within } from "./put";

/** A clock is watched for at most so long without a break, and for so many tasks where its step is longer. */
const WATCH_MS = 5;
const TASKS = 24;
const FRAME_MS = 400;

/** The smallest step of a clock: seen at once for a fine one, over several tasks for one of 16 or 100 ms. */
async function step(clock: () => number): Promise<number | undefined> {
  let smallest = Infinity;
  let last = clock();
  for (let task = 0; task < TASKS; task++) {
    const end = performance.now() + WATCH_MS;
    // A clock that stands still must not hold the page.
    for (let looks = 0; looks < 20_000 && performance.now() < end; looks++) {
      const now = clock();
      if (now > last) smallest = Math.min(smallest, now - last);
      last = now;
    }
    if (smallest < Infinity && smallest < 2 * WATCH_MS) break;
    await pause(7);
  }
  return smallest < Infinity ? Math.round(smallest * 1e4) / 1e4 : undefined;
}

export async function describeClocks(signals: Signals): Promise<void> {
  const resolution = await step(() => performance.now());
  take(signals, "number", "timing", { resolution: () => resolution });
  const [date, event] = [await step(() => Date.now()), await step(() => new Event("x").timeStamp)];
  take(signals, "number", "clock", { date_step: () => date, event_step: () => event });
}

export function describeEngine(signals: Signals): void {
  take(signals, "number", "timing", {
    page_age: () => performance.now(),
    error_stack_depth: stackDepth,
    eval_length: () => eval.toString().length,
  });
}

export async function describeDelays(signals: Signals): Promise<void> {
  const timed = async (wait: () => PromiseLike<unknown>): Promise<number> => {
    const begun = performance.now();
    await wait();
    return performance.now() - begun;
  };
  const message = await timed(
    () =>
      new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => resolve(port1.close());
        port2.postMessage(null);
      }),
  );
  const timer = await timed(() => pause(0));
  const frame = await within(
    FRAME_MS,
    () =>
      new Promise<number>((resolve) =>
        requestAnimationFrame((first) => requestAnimationFrame((second) => resolve(second - first))),
      ),
  );
  take(signals, "number", "clock", {
    message_delay: () => message,
    timer_delay: () => timer,
    frame_interval: () => frame,
  });
}

const WORK: Readonly<Record<string, () => unknown>> = {
  integer_work: () => {
    let value = 1;
    for (let at = 0; at < 200_000; at++) value = Math.imul(value ^ at, 0x01000193);
    return value;
  },
  float_work: () => {
    let value = 1;
    for (let at = 1; at < 40_000; at++) value = Math.sqrt(value + at) * Math.sin(at);
    return value;
  },
  string_work: () => {
    let value = "";
    for (let at = 0; at < 8_000; at++) value = value.slice(-50) + at.toString(36);
    return value;
  },
  sort_work: () =>
    Array.from({ length: 4_000 }, (_, at) => Math.imul(at, 0x9e3779b1) | 0).sort((left, right) => left - right),
};

export const works: readonly ((signals: Signals) => void)[] = Object.entries(WORK).map(
  ([name, work]) =>
    (signals) =>
      take(signals, "number", "clock", { [name]: () => cost(work) }),
);

export function cost(work: () => unknown): number {
  const begun = performance.now();
  work();
  return performance.now() - begun;
}

export function describeNavigation(signals: Signals): void {
  const entry: Loose = performance.getEntriesByType("navigation")[0];
  const between = (end: string, start: string) => () => (entry[end] > 0 ? entry[end] - entry[start] : undefined);
  const at = (name: string) => () => entry[name] || undefined; // 0 is what did not happen yet
  const paint = (name: string) => () => performance.getEntriesByName(name)[0]?.startTime;
  const resources: Loose[] = performance.getEntriesByType("resource");
  take(signals, "number", "navigation", {
    redirect_count: () => entry.redirectCount,
    domain_lookup: between("domainLookupEnd", "domainLookupStart"),
    connect: between("connectEnd", "connectStart"),
    secure_connect: between("secureConnectionStart", "connectStart"),
    request: between("responseStart", "requestStart"),
    response: between("responseEnd", "responseStart"),
    dom_interactive: at("domInteractive"),
    dom_content_loaded: at("domContentLoadedEventEnd"),
    dom_complete: at("domComplete"),
    load: at("loadEventEnd"),
    first_paint: paint("first-paint"),
    first_contentful_paint: paint("first-contentful-paint"),
    transfer_size: () => entry.transferSize,
    encoded_size: () => entry.encodedBodySize,
    decoded_size: () => entry.decodedBodySize,
    activation_start: () => entry.activationStart,
    resources_count: () => resources.length,
    scripts_count: () => resources.filter(({ initiatorType }) => initiatorType === "script").length,
  });
  take(signals, "category", "navigation", {
    type: () => entry.type,
    protocol: () => entry.nextHopProtocol,
    delivery_type: () => entry.deliveryType,
    render_blocking: () => entry.renderBlockingStatus,
    visibility: () => performance.getEntriesByType("visibility-state")[0]?.name ?? document.visibilityState,
  });
}
