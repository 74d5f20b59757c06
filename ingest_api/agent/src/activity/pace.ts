/** A page may fire any number of events; the log takes so many entries of each kind, and then a count. */

import { CODES } from "../catalogue";
import type { Log } from "../types";

const BURST = 120;
const A_SECOND = 6; // a fast typist's keys, on and on

export interface Pace {
  note: Log;
  /** Logs how many entries were left out since the last call. */
  summarise(): void;
}

/** Lets `BURST` entries of each code through at once and `A_SECOND` of them later; `late` is told when one is left out. */
export function paced(log: Log, late: () => void): Pace {
  const allowances = new Map<number, { left: number; at: number }>();
  let leftOut = 0;
  const note: Log = (code, value, target, at) => {
    const now = performance.now();
    let allowance = allowances.get(code);
    if (!allowance) allowances.set(code, (allowance = { left: BURST, at: now }));
    allowance.left = Math.min(BURST, allowance.left + ((now - allowance.at) * A_SECOND) / 1000);
    allowance.at = now;
    if (allowance.left >= 1) {
      allowance.left--;
      log(code, value, target, at);
    } else {
      leftOut++;
      late();
    }
  };
  const summarise = (): void => {
    if (leftOut) log(CODES.entries_capped, leftOut);
    leftOut = 0;
  };
  return { note, summarise };
}
