/** The detectors of botd, one by one. Its agent, which counts installations, is never loaded. */

import { collect, detect, detectors, sources } from "@fingerprintjs/botd";
import type { Signals } from "../types";
import { each, type Loose, take } from "./put";

/** `gl` is a context that is open already, so that the library opens no other. */
export async function describeBotd(signals: Signals, gl: Loose): Promise<void> {
  const webGL = (): Loose => ({ vendor: gl.getParameter(gl.VENDOR), renderer: gl.getParameter(gl.RENDERER) });
  const components: Loose = await collect({ ...sources, webGL } as Loose);
  const [detections, final] = detect(components, detectors) as unknown as [Loose, Loose];
  each(signals, "boolean", "botd", (name) => detections[`detect${name}`].bot);
  take(signals, "category", "botd", {
    kind: () => (final.bot ? final.botKind : "none"),
    browser_kind: () => components.browserKind.value,
    engine_kind: () => components.browserEngineKind.value,
  });
}
