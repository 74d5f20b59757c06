/**
 * Attempts to close the page, and steps back in its history.
 *
 * `beforeunload` is listened to only while something was entered that was not submitted, and never answered: a listener
 * may keep older Firefox from its back/forward cache (Chromium and Firefox 153 do keep the page, measured), and an answer
 * would ask the person. A page that is left within moments of a click or a submit is left by its own doing.
 */

import { CODES } from "../catalogue";
import { fieldOf } from "../masking/fields";
import type { Page } from "./page";

const OWN_DOING_MS = 1_500;

export function leaving(page: Page): void {
  let end: (() => void) | undefined;
  page.on("input", (_, element) => {
    if (!fieldOf(element)) return;
    end ??= page.listen(window, "beforeunload", (event) => {
      const own = Math.max(page.last.click, page.last.submit);
      if (event.timeStamp - own > OWN_DOING_MS) page.note(CODES.close_attempted, undefined, undefined, event.timeStamp);
    });
  });
  page.on("submit", (event) => {
    page.last.submit = event.timeStamp;
    end?.();
    end = undefined;
  });
  back(page);
}

/** The part of https://developer.mozilla.org/docs/Web/API/Navigation that is used; TypeScript's library lacks it. */
interface Navigation extends EventTarget {
  currentEntry: { index: number } | null;
}

function back(page: Page): void {
  const note = (at: number): void => page.note(CODES.navigated_back, undefined, undefined, at);
  const [navigation] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  if (navigation?.type === "back_forward") note(performance.now());
  page.on("pageshow", (event) => {
    if (event.persisted) note(event.timeStamp);
  });
  const history = (window as { navigation?: Navigation }).navigation;
  if (history?.currentEntry) {
    let index = history.currentEntry.index;
    page.listen(history, "currententrychange", (event) => {
      const now = history.currentEntry?.index ?? index;
      if (now < index) note(event.timeStamp);
      index = now;
    });
    return;
  }
  // Without it: a step to a new fragment fires popstate too, but makes the history longer.
  let length = window.history.length;
  page.on("popstate", (event) => {
    if (window.history.length === length) note(event.timeStamp);
    length = window.history.length;
  });
}
