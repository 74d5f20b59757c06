/** How far the page, or a part of it, was scrolled: at most one entry a second. */

import { CODES, TARGETS } from "../catalogue";
import { fieldOf } from "../masking/fields";
import type { Page } from "./page";

const MOST_PARTS = 8; // scrolled in one second; positions are read once a second, for reading may lay out

export function scroll(page: Page): void {
  const tops = new WeakMap<Element, number>();
  const moved = new Set<Element>();
  const root = document.scrollingElement ?? document.documentElement;
  tops.set(root, root.scrollTop);

  const summarise = (): void => {
    let far = 0;
    for (const part of moved) {
      const top = part.scrollTop;
      far += Math.abs(top - (tops.get(part) ?? 0));
      tops.set(part, top);
    }
    moved.clear();
    if (far >= 1) page.note(CODES.scrolled, Math.round(far), TARGETS.document);
  };
  page.on("scroll", (_, element) => {
    if (fieldOf(element) || moved.size >= MOST_PARTS) return; // how far a text field scrolls is about its text
    moved.add(element ?? root);
    page.soon(summarise);
  });
}
