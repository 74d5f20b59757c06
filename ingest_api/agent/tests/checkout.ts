/** A checkout page that the agent watches, and a mouse. */

import { watch } from "../src/activity/index";
import { Dom } from "./dom";

export const FORM = `
  <form id=form><fieldset id=you><input id=email type=email><input id=name placeholder="Jane Doe"></fieldset>
  <fieldset><label id=label>Card <input id=card autocomplete=cc-number></label><input id=cvc name=cvc required>
  <select id=month name=exp-month><option>1</select></fieldset><button id=pay>Pay</button></form>
  <textarea id=note></textarea><div id=free contenteditable>x</div><a id=link href=#a>x</a><iframe id=frame></iframe>
  <div id=hidden class=no><input id=inner name=email><i id=deep></i></div>`;

/** The page once it is loaded and what it noted until then is forgotten. */
export function open(body = FORM, ignore: string[] = []): { dom: Dom; stop: () => void } {
  const dom = new Dom(body);
  const stop = watch(dom.log, dom.taking, { ...dom.options, ignore });
  dom.advance(0);
  dom.noted.length = 0;
  return { dom, stop };
}

/** A person's mouse comes along, presses for `ms`, and lets go. */
export function click(dom: Dom, element: Element, ms = 80, moves = 5, x = 100): void {
  for (let move = 1; move <= moves; move++) dom.fire(element, "pointermove", { clientX: x * move, clientY: 0, pointerType: "mouse" }, 16);
  dom.fire(element, "pointerdown", { clientX: x * Math.max(1, moves), clientY: 0, pointerType: "mouse" });
  dom.fire(element, "pointerup", { pointerType: "mouse" }, ms);
  dom.fire(element, "click", { detail: 1 });
}
