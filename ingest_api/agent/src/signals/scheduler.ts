/** Runs the agent's tasks in the page's idle time, so that none of the page's own work waits for more than one. */

import type { Scheduler } from "../types";
import { scope } from "./put";

/** Tasks that follow each other without a break take at most this long together, before the last of them. */
const SLICE_MS = 2;
/** A page that is never idle still lets one slice through in this time. */
const WAIT_MS = 60;

interface Queued {
  run: () => void;
  drop: () => void;
}

/** `stopped` is asked before every task; once it is true no further task runs. */
export function makeScheduler(stopped: () => boolean): Scheduler {
  const queue: Queued[] = [];
  let waiting = false;

  const slice = (): void => {
    waiting = false;
    const begun = performance.now();
    do {
      const task = queue.shift();
      if (stopped()) task?.drop();
      else task?.run();
    } while (queue.length && performance.now() - begun < SLICE_MS);
    if (queue.length) wake();
  };
  const wake = (): void => {
    if (waiting) return;
    waiting = true;
    onIdle(slice);
  };
  return {
    run<T>(task: () => T | Promise<T>): Promise<T | undefined> {
      return new Promise((resolve) => {
        const run = (): void => {
          try {
            Promise.resolve(task()).then(resolve, () => resolve(undefined));
          } catch {
            resolve(undefined);
          }
        };
        queue.push({ run, drop: () => resolve(undefined) });
        wake();
      });
    },
  };
}

/** Idle callbacks and timers hardly ever run in a hidden tab; a message always comes, behind what the page queued. */
function onIdle(slice: () => void): void {
  if (typeof scope.requestIdleCallback === "function" && !document.hidden) {
    scope.requestIdleCallback(slice, { timeout: WAIT_MS });
    return;
  }
  if (typeof MessageChannel !== "function") {
    setTimeout(slice, 0);
    return;
  }
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    slice();
  };
  port2.postMessage(null);
}
