/** The agent as a plain script: one global, and the first copy on a page wins. */

import { eventIds, flush, lastEventId, mark, start, stop, version } from "./main";

const global = globalThis as { clickgoose?: { start?: unknown } };
if (typeof global.clickgoose?.start !== "function") {
  global.clickgoose = Object.freeze({ start, flush, mark, stop, lastEventId, eventIds, version });
}
