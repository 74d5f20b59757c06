/** The window's new width, once it has come to rest. */

import { CODES } from "../catalogue";
import type { Page } from "./page";

const REST_MS = 500;

export function resize(page: Page): void {
  let width = window.innerWidth;
  let callOff = (): void => undefined;
  page.on("resize", (event, element) => {
    if (element) return;
    callOff();
    callOff = page.later(() => {
      // The height alone changes with a phone's keyboard and address bar.
      if (window.innerWidth !== width) page.note(CODES.resized, (width = window.innerWidth), undefined, event.timeStamp);
    }, REST_MS);
  });
}
