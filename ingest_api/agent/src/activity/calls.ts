/** The page's own calls to APIs: how long each took and whether it failed, never where it went. */

import { CODES } from "../catalogue";
import type { Page } from "./page";

export function calls(page: Page): void {
  if (typeof PerformanceObserver === "undefined") return;
  if (!PerformanceObserver.supportedEntryTypes?.includes("resource")) return;
  const own = new URL(page.options.endpoint, document.baseURI).href.replace(/[?#].*/, "");
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as PerformanceResourceTiming[]) {
      const call = entry.initiatorType === "fetch" || entry.initiatorType === "xmlhttprequest";
      if (call && !entry.name.startsWith(own)) page.guard(() => tell(page, entry));
    }
  });
  observer.observe({ type: "resource", buffered: true });
  page.atEnd(() => observer.disconnect());
}

/** Of another origin, 0 is also what a browser says that may not tell the status. */
function tell(page: Page, entry: PerformanceResourceTiming): void {
  page.note(CODES.api_timing, Math.round(entry.duration), undefined, entry.responseEnd);
  const { responseStatus: status } = entry as { responseStatus?: number };
  const failed = status !== undefined && (status >= 400 || (status === 0 && entry.name.startsWith(location.origin + "/")));
  if (failed) page.note(CODES.api_failed, status, undefined, entry.responseEnd);
}
