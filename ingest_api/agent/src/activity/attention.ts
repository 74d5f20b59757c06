/** Whether the page is seen, and whether the person is in its window. */

import { CODES, TARGETS } from "../catalogue";
import type { Page } from "./page";

export function attention(page: Page): void {
  let leftAt: number | undefined;
  let seen = document.visibilityState === "visible";
  let leaving = false;
  if (seen) page.note(CODES.page_visible, undefined, TARGETS.document);

  page.on("visibilitychange", (event) => {
    const at = event.timeStamp;
    if (document.visibilityState === "visible") {
      if (leftAt !== undefined) page.note(CODES.tab_returned, Math.round(at - leftAt), undefined, at);
      else if (!seen) page.note(CODES.page_visible, undefined, TARGETS.document, at); // opened in the background
      seen = true;
      leftAt = undefined;
    } else if (seen && !leaving) {
      leftAt = at;
      page.note(CODES.tab_left, undefined, undefined, at);
      page.flush();
    }
  });
  page.on("blur", (event) => {
    if (event.target !== window) return; // Firefox tells the document too
    const at = event.timeStamp;
    // Which element has the focus now, such as a payment provider's frame, is known after the event.
    page.later(() => {
      const active = document.activeElement;
      const frame = active?.localName === "iframe" ? active : undefined;
      if (frame && page.ignored(frame)) return;
      page.note(CODES.window_blurred, undefined, frame ? TARGETS.frame : TARGETS.none, at);
    }, 0);
  });
  page.on("pagehide", (event) => {
    leaving = true;
    page.note(CODES.page_hidden, undefined, TARGETS.document, event.timeStamp);
    page.flush();
  });
  page.on("pageshow", (event) => {
    if (event.persisted) page.note(CODES.page_visible, undefined, TARGETS.document, event.timeStamp);
    leaving = false;
  });
}
