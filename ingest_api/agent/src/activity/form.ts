/** Steps of a form, counted in the order in which the person gets to them, and its submission. */

import { CODES, TARGETS } from "../catalogue";
import { fieldOf } from "../masking/fields";
import type { Page } from "./page";

export function form(page: Page): void {
  const steps = new WeakMap<Element, number>();
  let current: Element | undefined;
  let count = 0;

  page.on("focus", (event, element) => {
    const step = fieldOf(element)?.closest("fieldset,form,[role=form]");
    if (!step || step === current) return;
    current = step;
    const number = steps.get(step) ?? ++count;
    steps.set(step, number);
    page.note(CODES.form_step, number, TARGETS.form, event.timeStamp);
  });
  page.on("submit", (event) => {
    page.flush();
    page.note(CODES.submitted, Math.round(event.timeStamp), TARGETS.form, event.timeStamp);
  });
}
