/** One request to the endpoint, and what its answer means. Nothing here throws, waits for long, or reads at length. */

import { type Bytes, utf8 } from "./bytes";
import { FRAMES_CONTENT_TYPE, packBeacon } from "./frames";
import type { Channel } from "./session";
import { SIGNATURE_HEADER } from "./sign";
import { attempt, type World } from "./world";

const REQUEST_MS = 10_000;
const ANSWER_BYTES = 65_536;
const LONGEST_WAIT_MS = 600_000;
const CODEC_HEADER = "x-clickgoose-codec";

/** What the server says of one event; `expired` is a `drop` of an event sealed after its session had ended. */
export type Outcome = "ok" | "retry" | "drop" | "expired";

export type Verdict =
  | { kind: "answered"; outcomes: Outcome[]; waitMs: number }
  /** No answer, or none that says anything: the same again later. */
  | { kind: "later"; waitMs: number }
  /** This device's clock is wrong; `serverNow` in Unix ms. */
  | { kind: "stale"; serverNow: number }
  /** The session's credential is refused for good. */
  | { kind: "refused" }
  /** The request is too large. */
  | { kind: "smaller" }
  /** These events will never be taken. */
  | { kind: "never" };

/** What our own errors (ingest_api/errors.py) mean by their status; all others pass. */
const FAILURES: Record<number, Exclude<Verdict["kind"], "answered" | "later" | "stale">> = {
  401: "refused",
  403: "refused",
  413: "smaller",
  415: "never",
  422: "never",
};

const COMMON: RequestInit = {
  method: "POST",
  cache: "no-store",
  credentials: "omit",
  redirect: "error",
  referrerPolicy: "no-referrer",
};

/** Sends frames; the verdict is there within the time limit. `fetch` is called before this returns. */
export function post(
  world: World,
  channel: Channel,
  frames: Bytes,
  signature: string,
  keepalive: boolean,
): Promise<Verdict> {
  const later: Verdict = { kind: "later", waitMs: 0 };
  const abort = typeof AbortController === "function" ? new AbortController() : undefined;
  return new Promise((resolve) => {
    const timer = world.setTimeout(() => {
      attempt(() => abort?.abort());
      resolve(later);
    }, REQUEST_MS);
    const request = attempt(() =>
      world.fetch(channel.endpoint, {
        ...COMMON,
        mode: "cors",
        keepalive,
        body: frames,
        headers: {
          authorization: `Bearer ${channel.token}`,
          "content-type": FRAMES_CONTENT_TYPE,
          [SIGNATURE_HEADER]: signature,
        },
        ...(abort && { signal: abort.signal }),
      }),
    );
    const settle = (verdict: Verdict): void => {
      world.clearTimeout(timer);
      resolve(verdict);
    };
    if (!request) return settle(later);
    request.then((response) => judge(world, channel, response)).then(settle, () => settle(later));
  });
}

/** Hands frames to the browser on a page that is being left; tells whether it took them. There is no answer. */
export function leave(world: World, channel: Channel, frames: Bytes, signature: string): boolean {
  const body = new Blob([packBeacon(channel.token, signature, frames)], { type: "text/plain" });
  if (attempt(() => world.beacon?.(channel.endpoint, body))) return true;
  const sent = attempt(() => world.fetch(channel.endpoint, { ...COMMON, mode: "no-cors", keepalive: true, body }));
  sent?.catch(() => undefined); // the backup still has them
  return sent !== undefined;
}

/** Bytes of a beacon beside its frames. */
export function beaconHead(channel: Channel): number {
  return utf8(channel.token).length + 4 + 96;
}

async function judge(world: World, channel: Channel, response: Response): Promise<Verdict> {
  const waitMs = retryAfter(response, world.now());
  const answer = parse(await readShort(response));
  if (response.ok) {
    const outcomes = readOutcomes(answer);
    if (!outcomes) return { kind: "later", waitMs };
    channel.deflate = attempt(() => response.headers.get(CODEC_HEADER)) === "deflate-raw";
    return { kind: "answered", outcomes, waitMs };
  }
  const code = field(field(answer, "error"), "code");
  const kind = FAILURES[response.status];
  if (!code || !kind) return { kind: "later", waitMs };
  if (code !== "signature_stale") return { kind };
  const serverNow = Date.parse(response.headers.get("date") ?? "");
  return serverNow ? { kind: "stale", serverNow } : { kind: "later", waitMs };
}

/** `Retry-After` in ms, as seconds or as a date; 0 where it says nothing. */
export function retryAfter(response: Response, now: number): number {
  const text = response.headers.get("retry-after") ?? "";
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now;
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), LONGEST_WAIT_MS) : 0;
}

/** The body's text, or nothing where it is longer than any answer of ours. */
async function readShort(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (!reader) return "";
  const decoder = new TextDecoder();
  let text = "";
  for (let read = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    read += value.length;
    if (read > ANSWER_BYTES) {
      void reader.cancel().catch(() => undefined);
      return "";
    }
    text += decoder.decode(value, { stream: true });
  }
}

function parse(text: string): unknown {
  return attempt(() => JSON.parse(text) as unknown);
}

const field = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;

function readOutcomes(answer: unknown): Outcome[] | undefined {
  const results = field(answer, "results");
  if (!Array.isArray(results)) return undefined;
  const outcomes = results.map((one): Outcome | undefined => {
    const status = field(one, "status");
    if (status === "drop" && field(one, "reason") === "session_expired") return "expired";
    return status === "ok" || status === "retry" || status === "drop" ? status : undefined;
  });
  return outcomes.every((one): one is Outcome => one !== undefined) ? outcomes : undefined;
}
