/**
 * Which field the person is in. The length that `field_left` tells is where the caret stood after the last edit or stands
 * now, whichever is further: never more than the length of the text, and equal to it where the person wrote at its end.
 * In a field that tells no caret it is the number of edits there.
 */

import { CODES } from "../catalogue";
import { fieldOf } from "../masking/fields";
import { caretOf } from "./caret";
import type { Page } from "./page";

export function focus(page: Page): void {
  let current: Element | undefined;
  const edits = new WeakMap<Element, { count: number; caret: number }>();

  const leave = (at: number): void => {
    if (!current) return;
    const field = current;
    current = undefined;
    const edited = edits.get(field);
    const length = Math.max(caretOf(field)?.end ?? edited?.count ?? 0, edited?.caret ?? 0);
    page.note(CODES.field_left, length, page.target(field), at);
  };
  /** Within one shadow tree the focus moves without any event that leaves it: an edit tells too. */
  const enter = (field: Element | undefined, at: number): void => {
    if (field === current) return;
    leave(at);
    current = field;
    if (field) page.note(CODES.field_focused, undefined, page.target(field), at);
  };

  page.on("focus", (event, element) => enter(fieldOf(element), event.timeStamp));
  page.on("blur", (event, element) => {
    if (element && fieldOf(element) === current) leave(event.timeStamp);
  });
  page.on("input", (event, element) => {
    const field = fieldOf(element);
    if (!field) return;
    const caret = caretOf(field);
    edits.set(field, { count: (edits.get(field)?.count ?? 0) + 1, caret: caret?.end ?? 0 });
    if (current) enter(field, event.timeStamp); // browsers fill in fields that nobody is in
  });
}
