/**
 * Clicks, and how each came about. A pointer leaves a trail: several moves, or the place where it last clicked; a program
 * that places the pointer leaves one move or none. A key activates what has the focus. What has neither, as when an
 * assistive technology or a program acts, is a click without a trail.
 */

import { CODES } from "../catalogue";
import type { Page } from "./page";

const TRAIL_MOVES = 2;
const SAME_PLACE_PX = 24;
const KEY_MS = 100; // between a key and the click that the browser makes of it

export function clicks(page: Page): void {
  let moves = 0;
  let place: { x: number; y: number } | undefined;
  let down: { at: number; held: number; trail: boolean } | undefined;
  let forwarded = false;

  /** Of a click on a label the browser makes one on the label's control, before any timer. */
  const forward = (): void => {
    forwarded = true;
    page.later(() => {
      forwarded = false;
    }, 0);
  };

  page.on("pointermove", () => {
    moves++;
  });
  page.on("pointerdown", (event) => {
    const { clientX: x, clientY: y } = event;
    const near = place !== undefined && Math.hypot(x - place.x, y - place.y) <= SAME_PLACE_PX;
    down = { at: event.timeStamp, held: 0, trail: event.pointerType === "touch" || moves >= TRAIL_MOVES || near };
    place = { x, y };
    moves = 0;
  });
  page.on("pointerup", (event) => {
    if (down) down.held = Math.max(0, Math.round(event.timeStamp - down.at));
  });
  page.on("click", (event, element) => {
    const at = event.timeStamp;
    const pressed = down;
    down = undefined;
    if (forwarded && !pressed) return;
    if (element?.closest("label")) forward();
    page.last.click = at;
    const target = page.target(element);
    if (pressed) page.note(pressed.trail ? CODES.clicked : CODES.click_without_trail, pressed.held, target, at);
    else if (at - page.last.key < KEY_MS) page.note(CODES.activated_by_key, undefined, target, at);
    else page.note(CODES.click_without_trail, 0, target, at);
  });
}
