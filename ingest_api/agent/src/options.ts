/** Checks what a page gave to `start`: everything is used, or one sentence says what is wrong. */

import { readKey, type SessionKey } from "./session";
import type { Options } from "./types";
import { attempt } from "./world";

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;
const MOST_TOKEN = 2_048;

/** Checked options, with the key taken apart. */
export interface Checked extends Options {
  parsedKey: SessionKey;
}

export function checkOptions(options: unknown): Checked | string {
  const checked = check((options ?? {}) as Partial<Record<keyof Options, unknown>>);
  return typeof checked === "string" ? `start() ${checked}; nothing is collected.` : checked;
}

function check(options: Partial<Record<keyof Options, unknown>>): Checked | string {
  const { transaction, ignore, renew } = options;
  const endpoint = checkEndpoint(options.endpoint);
  if (!endpoint) return "needs `endpoint`, the https address of the session";
  const credential = checkCredential(options);
  if (typeof credential === "string") return credential;
  if (typeof transaction !== "string" || !transaction) return "needs `transaction`, your id of the payment";
  if (ignore !== undefined && !isTexts(ignore)) return "wants `ignore` as a list of CSS selectors";
  if (renew !== undefined && typeof renew !== "function") return "wants `renew` as a function";
  return {
    ...credential,
    endpoint,
    transaction,
    ...(ignore && { ignore: [...ignore] }),
    ...(renew && { renew: renew as NonNullable<Options["renew"]> }),
  };
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((one) => typeof one === "string");

/** Checks token and key, of the options or of a renewal. */
export function checkCredential(
  given: unknown,
): (Pick<Options, "token" | "key"> & { parsedKey: SessionKey }) | string {
  const { token, key } = (given ?? {}) as { token?: unknown; key?: unknown };
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token) || token.length > MOST_TOKEN)
    return "needs `token`, that of the session";
  const parsedKey = typeof key === "string" ? readKey(key) : undefined;
  if (!parsedKey) return "needs `key`, that of the session, unaltered";
  return { token, key: key as string, parsedKey };
}

/** The absolute address; plain http only where nothing leaves the machine or the page itself is plain. */
function checkEndpoint(endpoint: unknown): string | undefined {
  if (typeof endpoint !== "string" || !endpoint) return undefined;
  const base = typeof document === "undefined" ? undefined : document.baseURI;
  const url = attempt(() => new URL(endpoint, base));
  if (!url || url.username || url.password) return undefined;
  if (url.protocol === "https:") return url.href;
  if (url.protocol !== "http:") return undefined;
  const plainPage = typeof location !== "undefined" && location.origin === url.origin;
  return LOOPBACK.test(url.hostname) || plainPage ? url.href : undefined;
}
