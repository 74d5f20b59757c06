/**
 * Fields that nobody typed in: filled by the browser, or set by a script. Looked at once a second while something goes on,
 * without ever reading a value and without a style sheet, which a page's CSP may refuse.
 *
 * Filled by the browser is what `:autofill` matches. Set by a script is a field that no trusted edit, paste or fill
 * touched, and that was empty and is no longer: by `:placeholder-shown`, by `validity.valueMissing` of a required field,
 * or by its caret, which a script's assignment moves from 0 to the end of the text while nobody pressed a key or a pointer
 * in the field. What cannot be seen so is not claimed: a field of type e-mail or number with neither placeholder nor
 * `required`, a value replaced by another, and a value that came before the page was loaded.
 */

import { CODES } from "../catalogue";
import { fieldOf } from "../masking/fields";
import { caretOf } from "./caret";
import type { Page } from "./page";

const FIELDS = "input,textarea,select";
const MOST_FIELDS = 200;

interface Look {
  placeholder: boolean | undefined;
  missing: boolean | undefined;
  caret: number | undefined;
}
interface Known extends Look {
  /** A trusted edit was seen: what changes from then on is the person's, or the page tidying it up. */
  edited: boolean;
  /** A key or pointer was seen in it, which moves the caret. */
  handled: boolean;
  autofilled: boolean;
}

export function filled(page: Page): void {
  const known = new Map<Element, Known>();
  const autofill = CSS.supports("selector(:autofill)") ? ":autofill" : ":-webkit-autofill";
  let ready = false;

  const inspect = (): void => {
    if (!ready) return;
    for (const field of known.keys()) if (!field.isConnected) known.delete(field);
    for (const field of document.querySelectorAll(FIELDS)) meet(field);
    for (const [field, state] of known) judge(field, state);
  };
  const meet = (field: Element): Known | undefined => {
    const found = known.get(field);
    if (found || known.size >= MOST_FIELDS || fieldOf(field) !== field || page.ignored(field)) return found;
    const state = { ...look(field), edited: false, handled: false, autofilled: false };
    known.set(field, state);
    return state;
  };
  const judge = (field: Element, state: Known): void => {
    const now = look(field);
    const autofilled = field.matches(autofill);
    // Without an edit it is what the browser only offers, or will fill in at the person's first touch.
    if (autofilled && state.edited && !state.autofilled) page.note(CODES.autofilled, undefined, page.target(field));
    else if (!autofilled && !state.edited && isSet(state, now)) {
      page.note(CODES.value_set_by_script, now.caret ?? 0, page.target(field));
    }
    Object.assign(state, now, { autofilled: autofilled && state.edited });
  };
  const touch = (element: Element | undefined, edited: boolean): void => {
    const field = ready ? fieldOf(element) : undefined;
    const state = field && meet(field);
    if (!state) return;
    state.handled = true;
    if (edited) state.edited = true;
    page.soon(inspect);
  };
  /** Also restores what was typed before, so that is not taken for a script's doing. */
  const begin = (): void => {
    page.later(() => {
      known.clear();
      ready = true;
      inspect();
    }, 0);
  };

  page.on("input", (_, element) => touch(element, true));
  page.on("keydown", (_, element) => touch(element, false));
  page.on("pointerdown", (_, element) => touch(element, false));
  for (const type of ["focus", "blur", "change", "click"] as const) page.on(type, () => page.soon(inspect));
  page.on("reset", begin);
  page.on("pageshow", begin);
  page.on("submit", inspect);
  page.onUntrusted(() => page.soon(inspect));
  if (document.readyState === "complete") begin();
}

function look(field: Element): Look {
  const input = field as HTMLInputElement;
  const selection = caretOf(field);
  return {
    placeholder: input.placeholder ? field.matches(":placeholder-shown") : undefined,
    missing: input.required && input.willValidate ? input.validity.valueMissing : undefined,
    caret: selection && selection.start === selection.end ? selection.end : undefined,
  };
}

function isSet(before: Known, now: Look): boolean {
  return (
    (before.placeholder === true && now.placeholder === false) ||
    (before.missing === true && now.missing === false) ||
    (!before.handled && before.caret === 0 && (now.caret ?? 0) > 0)
  );
}
