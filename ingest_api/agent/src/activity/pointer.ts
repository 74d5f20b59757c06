/** Where pointers went, as sums: at most one entry a second for a mouse or pen, and one for touches. */

import { CODES, TARGETS } from "../catalogue";
import type { Page } from "./page";

export function pointer(page: Page): void {
  let from: { x: number; y: number } | undefined;
  let travelled = 0;
  let touches = 0;

  const summarise = (): void => {
    if (travelled >= 1) page.note(CODES.pointer_summary, Math.round(travelled), TARGETS.document);
    if (touches) page.note(CODES.touch_summary, touches, TARGETS.document);
    travelled = touches = 0;
  };
  page.on("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const { clientX: x, clientY: y } = event;
    if (from) travelled += Math.hypot(x - from.x, y - from.y);
    from = { x, y };
    page.soon(summarise);
  });
  page.on("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    touches++;
    page.soon(summarise);
  });
}
