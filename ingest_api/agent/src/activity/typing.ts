/**
 * Typing cadence: ms between two keys that write in the same field. Which key it was is never asked: a key counts if the
 * browser says that it writes (`keypress`, or an edit that follows) or if the page took it over (`preventDefault`).
 */

import { CODES } from "../catalogue";
import { fieldOf } from "../masking/fields";
import type { Page } from "./page";

const LONGEST_MS = 10_000; // beyond that the person did something else

export function typing(page: Page): void {
  let key: { event: Event; field: Element; writes: boolean } | undefined;
  let last: { field: Element; at: number } | undefined;

  const count = (): void => {
    if (!key) return;
    const { field, event } = key;
    key = undefined;
    const interval = last?.field === field ? event.timeStamp - last.at : Infinity;
    if (interval <= LONGEST_MS) page.note(CODES.key_interval, Math.round(interval), page.target(field), event.timeStamp);
    last = { field, at: event.timeStamp };
  };
  const settle = (): void => {
    if (key && (key.writes || key.event.defaultPrevented)) count();
    key = undefined;
  };

  page.on("keydown", (event, element) => {
    page.last.key = event.timeStamp;
    settle();
    const field = fieldOf(element);
    // Browsers that fill in a form dispatch key events that are no KeyboardEvent; a key held down is one key.
    if (field && event.repeat === false) key = { event, field, writes: false };
  });
  page.on("keypress", (_, element) => {
    if (key && key.field === fieldOf(element)) key.writes = true;
  });
  page.on("keyup", (event) => {
    page.last.key = event.timeStamp;
    settle();
  });
  page.on("input", (_, element) => {
    if (key && key.field === fieldOf(element)) count();
  });
  for (const type of ["paste", "cut", "drop"] as const) page.on(type, () => (key = undefined));
}
