/** The agent as a module. Importing it does nothing; `start` does. */

import { watch } from "./activity";
import { createApi } from "./api";
import { collect, makeScheduler } from "./signals";
import { browserWorld } from "./world";

declare const AGENT_VERSION: string;

export const version: string = AGENT_VERSION;
export const { start, flush, mark, stop, lastEventId, eventIds } = /* @__PURE__ */ createApi(browserWorld, {
  collect,
  makeScheduler,
  watch,
});
