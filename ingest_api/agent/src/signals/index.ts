/** All signals of the catalogue, collected in idle slices: the quick ones first, then what takes time or waits. */

import { describePage } from "../masking";
import type { Collect, Signals } from "../types";
import { describeFilters, describeNodes, describeOutput, describeSound, onceAllowed } from "./audio";
import { describeAutomation, describeDebugger } from "./automation";
import { describeBotd } from "./botd";
import { describeClocks, describeDelays, describeEngine, describeNavigation, works } from "./clock";
import { describeCodecs, describeDevices, describeDrm, describeOffers, describeSources, describeVoices } from "./codecs";
import { describeMedia, describeProperties, describeSelectors } from "./css";
import { describeCanvas, describeDecoders, describeEmoji, describeEncoders, describeOffscreen, pictures } from "./drawing";
import { describeFingerprint } from "./fingerprint";
import { describeFontWidths, describeFonts, describeTextMetrics } from "./fonts";
import {
  describeFrame, describeFrameCanvas, describeFrameGraphics, describeLayout, describeRectangles, describeSystemStyles,
  openFrame,
} from "./frame";
import { describeFormats, describeIntl, describeIntlOptions, describeOffsets } from "./intl";
import { describeMaths, describeMistakes } from "./maths";
import { describeApi, describeCounts, describeInterfaces, supported } from "./names";
import {
  describeClientHints, describeNavigator, describePlugins, describeScreen, describeScreenFrame, describeViewport,
} from "./navigator";
import { ask, type Loose, type Run, take } from "./put";
import { describeRules, describeScanned } from "./scanner";
import { describeMemory, describePermissions, describeStores, storeQuestions } from "./storage";
import {
  close, describeAdapter, describeFallback, describePrecision, describeScene, describeWebgl, describeWebgl2,
  graphicsNames, open,
} from "./webgl";
import { describeWorker } from "./worker";

export { makeScheduler } from "./scheduler";

type Step = (signals: Signals, run: Run) => unknown;

/** Each in less than a slice on a slow machine; with them the first event is worth its way. */
const QUICK: readonly Step[] = [
  describeNavigator, describePage, describeScreen, describeOffsets, describeIntl, describeInterfaces, describeApi, describeMedia,
  describeProperties, describeSelectors, describeMemory, describeStores, describeEngine, describeScreenFrame,
  describePlugins, describeClientHints, describeMaths, describeCounts, describeNavigation,
];
/** Each in a task of its own; what they wait for, they wait for side by side. */
const SLOW: readonly Step[] = [
  describePermissions, ...storeQuestions, describeDevices, describeVoices, describeDrm, describeAdapter, describeSound,
  describeFilters, describeNodes, describeCanvas, describeEmoji, ...pictures, describeEncoders, describeOffscreen,
  describeDecoders, describeCodecs, describeSources, ...describeOffers, describeFormats, describeIntlOptions, describeMistakes, ...supported,
  describeFonts, describeFontWidths, describeTextMetrics, describeViewport, ...works, describeDelays, describeScanned,
];

/** Never rejects; what a browser lacks or refuses stays absent. */
export const collect: Collect = async (signals, scheduler, first) => {
  const begun = performance.now();
  const stack = ask(() => new Error("start").stack) ?? "";
  const run: Run = (task) => scheduler.run(task);
  const all = (steps: readonly Step[]): Promise<unknown> => Promise.all(steps.map((step) => run(() => step(signals, run))));
  await all(QUICK);
  ask(first);
  onceAllowed(() => void run(() => describeOutput(signals)));
  // The worker starts the graphics process, for which the page need not wait then.
  const [worker] = await Promise.all([run(() => describeWorker(signals)), all(SLOW)]);
  await withGraphics(signals, run, worker, stack);
  await run(() => describeClocks(signals));
  await run(() => describeNavigation(signals)); // by now the page has loaded
  await run(() => take(signals, "number", "timing", { collection: () => performance.now() - begun }));
};

async function withGraphics(signals: Signals, run: Run, worker: Loose, stack: string): Promise<void> {
  const gl: Loose = await run(() => open("webgl"));
  const gl2: Loose = await run(() => open("webgl2"));
  const frame = await run(openFrame);
  try {
    await Promise.all([
      run(() => describeWebgl(signals, gl)),
      run(() => describePrecision(signals, gl)),
      run(() => describeWebgl2(signals, gl2)),
      describeScene(signals, gl, run),
      run(() => describeFallback(signals, !!gl)),
      ...(frame ? framed.map((step) => run(() => step(signals, frame))) : []),
      run(() => frame && describeAutomation(signals, frame, stack)),
      run(() => describeBotd(signals, gl)),
    ]);
    await describeFingerprint(signals, gl, run);
    const graphics = ask(() => graphicsNames(gl));
    await run(() => describeRules(signals, { graphics, worker, frame: frame?.window, gpuVendor: undefined, debuggerSeen: undefined }));
  } finally {
    close(gl);
    close(gl2);
    frame?.remove();
  }
}

const framed = [
  describeFrame, describeFrameCanvas, describeFrameGraphics, describeSystemStyles, describeRectangles, describeLayout,
  describeDebugger,
];
