/** Errors of the page's scripts; the last one's text, scrubbed, is the signal `page.last_error`. */

import { CODES } from "../catalogue";
import { maskUrl } from "../masking/url";
import { scrub } from "../masking/scrub";
import type { Page } from "./page";

const MOST_TEXTS = 50; // scrubbed in the life of a page: an error in a loop must not cost the page its time

export function errors(page: Page): void {
  let texts = 0;
  const tell = (text: string): void => {
    if (texts++ < MOST_TEXTS) page.signals.text("page.last_error", text);
  };
  page.on("error", (event) => {
    if (typeof event.message !== "string") return; // an image or script that did not load
    page.note(CODES.script_error, undefined, undefined, event.timeStamp);
    if (texts < MOST_TEXTS) tell(`${scrub(event.message)} ${maskUrl(event.filename)}`.trim());
  });
  page.on("unhandledrejection", (event) => {
    page.note(CODES.promise_rejected, undefined, undefined, event.timeStamp);
    if (texts < MOST_TEXTS) tell(scrub(reasonOf(event.reason)));
  });
}

/** An error's name and message, or the text; of anything else, which may hold anything, its type alone. */
function reasonOf(reason: unknown): string {
  if (reason instanceof Error) return `${reason.name}: ${reason.message}`;
  return typeof reason === "string" ? reason : `rejected with ${typeof reason}`;
}
