/** Events that a script made, counted by the class of their element: at most one entry a second for each class. */

import { CODES } from "../catalogue";
import type { Page } from "./page";

export function untrusted(page: Page): void {
  const counts = new Map<number, number>();
  const summarise = (): void => {
    for (const [target, count] of counts) page.note(CODES.untrusted_event, count, target);
    counts.clear();
  };
  page.onUntrusted((element) => {
    const target = page.target(element);
    counts.set(target, (counts.get(target) ?? 0) + 1);
    page.soon(summarise);
  });
}
