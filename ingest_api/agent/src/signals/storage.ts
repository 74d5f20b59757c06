/** Stores, permissions, battery and keyboard: what the browser answers without asking the person. */

import type { Signals } from "../types";
import { type Loose, members, reach, scope, take, within } from "./put";

const ANSWER_MS = 1_000;
const MIB = 1_048_576;
const TEMPORARY = 0;

export function describeMemory(signals: Signals): void {
  const memory: Loose = (performance as Loose).memory;
  take(signals, "number", "storage", { heap_limit: () => memory.jsHeapSizeLimit / MIB });
  take(signals, "number", "memory", {
    heap_total: () => memory.totalJSHeapSize / MIB,
    heap_used: () => memory.usedJSHeapSize / MIB,
  });
}

export function describeStores(signals: Signals): void {
  const usable = (name: string) => () => {
    try {
      return !!scope[name];
    } catch {
      return false; // the browser refuses
    }
  };
  take(signals, "boolean", "storage", {
    local: usable("localStorage"),
    session: usable("sessionStorage"),
    indexed_db: usable("indexedDB"),
  });
  take(signals, "number", "storage_detail", { cookies_length: () => document.cookie.length });
  take(signals, "boolean", "storage_detail", {
    cookies_writable: writableCookies,
    cache_storage: usable("caches"),
    web_sql: () => "openDatabase" in scope,
  });
}

function writableCookies(): boolean {
  const cookie = "clickgoose-probe=1; SameSite=Strict";
  document.cookie = cookie;
  const written = document.cookie.includes("clickgoose-probe=");
  document.cookie = `${cookie}; Max-Age=0`;
  return written;
}

/** Each store that answers later, with its own end. */
export const storeQuestions: readonly ((signals: Signals) => Promise<void>)[] = [
  async (signals) => {
    const estimate: Loose = await within(ANSWER_MS, () => navigator.storage.estimate());
    take(signals, "number", "storage", { quota: () => estimate.quota / MIB, usage: () => estimate.usage / MIB });
    take(signals, "number", "storage_detail", {
      usage_details_count: () => Object.keys(estimate.usageDetails).length,
      // An incognito window of Chromium gets a share of the memory as quota, not of the disk.
      quota_ratio: () => estimate.quota / (performance as Loose).memory.jsHeapSizeLimit,
    });
  },
  async (signals) => {
    const persisted = await within(ANSWER_MS, () => navigator.storage.persisted());
    take(signals, "boolean", "storage", { persisted: () => persisted });
  },
  async (signals) => {
    const opened = await within(ANSWER_MS, () =>
      navigator.storage.getDirectory().then(
        () => true,
        () => false,
      ),
    );
    take(signals, "boolean", "storage_detail", { opfs: () => opened });
  },
  async (signals) => {
    const denied = await within(
      ANSWER_MS,
      () =>
        new Promise<boolean>((resolve) =>
          scope.webkitRequestFileSystem(
            TEMPORARY,
            1,
            () => resolve(false),
            () => resolve(true),
          ),
        ),
    );
    take(signals, "boolean", "storage", { file_system_denied: () => denied });
  },
  async (signals) => {
    const shared = await within(ANSWER_MS, () => document.hasStorageAccess());
    take(signals, "boolean", "storage_detail", { partitioned: () => (shared === undefined ? undefined : !shared) });
  },
  async (signals) => {
    const battery: Loose = await within(ANSWER_MS, () => (navigator as Loose).getBattery());
    take(signals, "number", "battery", { level: () => battery.level });
    take(signals, "boolean", "battery", { charging: () => battery.charging });
  },
  async (signals) => {
    const layout: Loose = await within(ANSWER_MS, () => (navigator as Loose).keyboard.getLayoutMap());
    take(signals, "number", "keyboard", { keys_count: () => layout.size });
    take(signals, "category", "keyboard", {
      layout: () =>
        Array.from(layout as Iterable<[string, string]>, (pair) => pair.join(":"))
          .sort()
          .join(),
    });
  },
];

/** The state of a permission, which is looked up and not asked for. */
function state(name: string): Promise<string | undefined> {
  const descriptor: Loose = { name, userVisibleOnly: true };
  return within(ANSWER_MS, () => navigator.permissions.query(descriptor).then((status) => status.state));
}

export async function describePermissions(signals: Signals): Promise<void> {
  const answer = async (family: string, member: string): Promise<string | undefined> => {
    const found = await state(member.replace("_", "-"));
    take(signals, "category", family, { [member]: () => found });
    return found;
  };
  take(signals, "category", "permissions", { notification_api: () => Notification.permission });
  const old = members("category", "permissions").filter((member) => member !== "notification_api");
  const [notifications, persistent] = await Promise.all([
    answer("permissions", "notifications"),
    answer("permission", "persistent-storage"),
    ...old.filter((member) => member !== "notifications").map((member) => answer("permissions", member)),
    ...members("category", "permission")
      .filter((member) => member !== "persistent-storage")
      .map((member) => answer("permission", member)),
  ]);
  take(signals, "boolean", "storage_detail", {
    persisted_granted: () => (persistent === undefined ? undefined : persistent === "granted"),
  });
  take(signals, "boolean", "automation", {
    permissions_inconsistent: () =>
      reach(scope, "Notification") && notifications !== undefined
        ? Notification.permission === "denied" && notifications === "prompt"
        : undefined,
  });
}
