/** Watches what happens on the page. Nothing that the person types is read: see each subject for what it looks at. */

import { CODES, TARGETS } from "../catalogue";
import type { Watch } from "../types";
import { attention } from "./attention";
import { calls } from "./calls";
import { clicks } from "./clicks";
import { clipboard } from "./clipboard";
import { errors } from "./errors";
import { filled } from "./filled";
import { focus } from "./focus";
import { form } from "./form";
import { leaving } from "./leaving";
import { Page } from "./page";
import { pointer } from "./pointer";
import { resize } from "./resize";
import { scroll } from "./scroll";
import { typing } from "./typing";
import { untrusted } from "./untrusted";

/** In this order each hears of an event: what fills a field comes before who submits it. */
const SUBJECTS = [
  opened, attention, leaving, errors, calls, resize, scroll, pointer, clicks, focus, typing, clipboard, untrusted, filled, form,
];

/** Begins to log; the function that it returns ends it. Nothing of the page is changed, and nothing thrown reaches it. */
export const watch: Watch = (log, signals, options) => {
  const page = new Page(log, signals, options);
  for (const subject of SUBJECTS) page.guard(() => subject(page));
  return () => page.stop();
};

function opened(page: Page): void {
  page.note(CODES.page_opened, Math.round(performance.now()), TARGETS.document);
}
