/**
 * Paste (also by drag and drop) and copy. The length of what was pasted is how far the caret moved on from where it
 * stood: the clipboard itself is never read. Where a field tells no caret, or the page took the paste over, it is 0.
 */

import { CODES } from "../catalogue";
import { fieldOf } from "../masking/fields";
import { caretOf } from "./caret";
import type { Page } from "./page";

export function clipboard(page: Page): void {
  let paste: { field: Element | undefined; start: number | undefined; at: number; target: number } | undefined;

  const done = (length: number): void => {
    if (paste) page.note(CODES.pasted, Math.max(0, length), paste.target, paste.at);
    paste = undefined;
  };
  const begun = (event: Event, element: Element | undefined): void => {
    done(0);
    const field = fieldOf(element);
    // What is dropped goes to where the pointer is: where the caret stood says nothing.
    const start = field && event.type === "paste" ? caretOf(field)?.start : undefined;
    paste = { field, start, at: event.timeStamp, target: page.target(element) };
    page.later(() => done(0), 0); // the edit, if there is one, comes before any timer
  };

  page.on("paste", begun);
  page.on("drop", (event, element) => {
    if (fieldOf(element)) begun(event, element);
  });
  page.on("input", (_, element) => {
    const field = fieldOf(element);
    if (!paste || !field || field !== paste.field) return;
    const end = caretOf(field)?.end;
    done(end === undefined || paste.start === undefined ? 0 : end - paste.start);
  });
  for (const type of ["copy", "cut"] as const) {
    page.on(type, (event, element) => page.note(CODES.copied, undefined, page.target(element), event.timeStamp));
  }
}
