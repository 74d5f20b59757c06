/** The signals that say where the agent runs. */

import type { Signals } from "../types";
import { scrub } from "./scrub";
import { maskUrl } from "./url";

/** Sets the `page.*` signals (all but `page.last_error`, which comes with an error); reading the height may lay out. */
export function describePage(signals: Signals): void {
  const [navigation] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  signals.text("page.url", maskUrl(location.href));
  signals.text("page.referrer", maskUrl(document.referrer));
  signals.text("page.title", scrub(document.title));
  signals.boolean("page.in_frame", window.top !== window.self);
  signals.boolean("page.prerendered", prerendered(navigation));
  signals.boolean("page.secure_context", window.isSecureContext);
  signals.number("page.scroll_height", document.documentElement.scrollHeight);
}

/** Absent where the browser does not tell. */
function prerendered(navigation: PerformanceNavigationTiming | undefined): boolean | undefined {
  const { prerendering } = document as Document & { prerendering?: boolean };
  const started = (navigation as { activationStart?: number } | undefined)?.activationStart;
  return prerendering === undefined && started === undefined ? undefined : prerendering === true || (started ?? 0) > 0;
}
