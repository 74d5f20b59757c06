/** The agent as a plain script: one global, and the first copy on a page wins. */

import * as agent from "./main";

const global = globalThis as { clickgoose?: Partial<typeof agent> };
if (typeof global.clickgoose?.start !== "function") global.clickgoose = Object.freeze({ ...agent });
