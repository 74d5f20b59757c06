/** All signals of the catalogue, collected in idle slices: the quick ones first, then what takes time or waits. */

import { describePage } from "../masking";
import type { Collect, Signals } from "../types";
import { describeFilters, describeNodes, describeOutput, describeSound, onceAllowed } from "./audio";
import { describeAutomation, describeDebugger } from "./automation";
import { describeBotd } from "./botd";
import { describeClocks, describeDelays, describeEngine, describeNavigation, works } from "./clock";
import {
  describeCodecs,
  describeDevices,
  describeDrm,
  describeOffers,
  describeSources,
  describeVoices,
} from "./codecs";
import { describeMedia, describeProperties, describeSelectors } from "./css";
import {
  describeCanvas,
  describeDecoders,
  describeEmoji,
  describeEncoders,
  describeOffscreen,
  pictures,
} from "./drawing";
import { describeFingerprint } from "./fingerprint";
import { describeFontWidths, describeFonts, describeTextMetrics } from "./fonts";
import {
  describeFrame,
  describeFrameCanvas,
  describeFrameGraphics,
  describeLayout,
  describeRectangles,
  describeSystemStyles,
  type Frame,
  openFrame,
} from "./frame";
import { describeFormats, describeIntl, describeIntlOptions, describeOffsets } from "./intl";
import { describeMaths, describeMistakes } from "./maths";
import { describeApi, describeCounts, describeInterfaces, supported } from "./names";
import {
  describeClientHints,
  describeNavigator,
  describePlugins,
  describeScreen,
  describeScreenFrame,
  describeViewport,
} from "./navigator";
import { ask, type Loose, type Run, take } from "./put";
import { describeRules, describeScanned } from "./scanner";
import { describeMemory, describePermissions, describeStores, storeQuestions } from "./storage";
import {
  close,
  describeAdapter,
  describeFallback,
  describePrecision,
  describeScene,
  describeWebgl,
  describeWebgl2,
  graphicsNames,
  open,
} from "./webgl";
import { describeWorker } from "./worker";

export { makeScheduler } from "./scheduler";

type Step = (signals: Signals, run: Run) => unknown;

/** Each in less than a slice on a slow machine; with them the first event is worth its way. */
const QUICK: readonly Step[] = [
  describeNavigator,
  describePage,
  describeScreen,
  describeOffsets,
  describeIntl,
  describeInterfaces,
  describeApi,
  describeMedia,
  describeProperties,
  describeSelectors,
  describeMemory,
  describeStores,
  describeEngine,
  describeScreenFrame,
  describePlugins,
  describeClientHints,
  describeMaths,
  describeCounts,
  describeNavigation,
];
/** Each in a task of its own; what they wait for, they wait for side by side. */
const SLOW: readonly Step[] = [
  describePermissions,
  ...storeQuestions,
  describeDevices,
  describeVoices,
  describeDrm,
  describeSound,
  describeFilters,
  describeNodes,
  describeCanvas,
  describeEmoji,
  ...pictures,
  describeEncoders,
  describeOffscreen,
  describeDecoders,
  describeCodecs,
  describeSources,
  ...describeOffers,
  describeFormats,
  describeIntlOptions,
  describeMistakes,
  ...supported,
  describeFonts,
  describeFontWidths,
  describeTextMetrics,
  describeViewport,
  ...works,
  describeDelays,
  describeScanned,
];

/** Each in the hidden frame. */
const FRAMED: readonly ((signals: Signals, frame: Frame) => void)[] = [
  describeFrame,
  describeFrameCanvas,
  describeFrameGraphics,
  describeSystemStyles,
  describeRectangles,
  describeLayout,
];

/** Never rejects; what a browser lacks or refuses stays absent. */
export const collect: Collect = async (signals, scheduler, first) => {
  const begun = performance.now();
  const stack = ask(() => new Error("start").stack) ?? "";
  const run: Run = (task) => scheduler.run(task);
  const all = (steps: readonly Step[]): Promise<unknown> =>
    Promise.all(steps.map((step) => run(() => step(signals, run))));
  await all(QUICK);
  ask(first);
  // The worker starts the graphics process, for which the page need not wait then.
  const [worker, gpuVendor] = await Promise.all([
    run(() => describeWorker(signals)),
    run(() => describeAdapter(signals)),
    all(SLOW),
  ]);
  onceAllowed(() => void describeOutput(signals, run));
  await withContexts(signals, run, { worker, gpuVendor, stack });
  await run(() => describeClocks(signals));
  await run(() => describeNavigation(signals)); // once more: by now the page has loaded
  await run(() => take(signals, "number", "timing", { collection: () => performance.now() - begun }));
};

interface Before {
  worker: Loose;
  gpuVendor: string | undefined;
  stack: string;
}

/** What needs the graphics contexts or the hidden frame, both of which are gone afterwards. */
async function withContexts(signals: Signals, run: Run, { worker, gpuVendor, stack }: Before): Promise<void> {
  const gl: Loose = await run(() => open("webgl"));
  const gl2: Loose = await run(() => open("webgl2"));
  const frame = (await run(openFrame)) ?? { window: undefined, remove: () => undefined };
  try {
    const debuggerSeen = run(() => describeDebugger(signals, frame));
    await Promise.all([
      run(() => describeWebgl(signals, gl)),
      run(() => describePrecision(signals, gl)),
      run(() => describeWebgl2(signals, gl2)),
      describeScene(signals, gl2, run),
      run(() => describeFallback(signals, !!gl)),
      ...FRAMED.map((step) => run(() => step(signals, frame))),
      run(() => describeAutomation(signals, frame, stack)),
      run(() => describeBotd(signals, gl)),
      describeFingerprint(signals, gl, run),
    ]);
    const found = { graphics: ask(() => graphicsNames(gl)), gpuVendor, debuggerSeen: await debuggerSeen, worker };
    await run(() => describeRules(signals, { ...found, frame: frame.window }));
  } finally {
    close(gl);
    close(gl2);
    ask(() => frame.remove());
  }
}
