/** The collector as a test sees it: checks signatures, opens events, and answers as it is told. */

import { createDecipheriv, createHmac } from "node:crypto";
import { keyString, type FakeWorld } from "./world";

export interface Opened {
  id: string;
  session: string;
  device: string;
  sequence: number;
  sentAt: number;
  codec: number;
  body: Buffer;
  codes: number[];
  values: number[];
}

export interface Call {
  url: string;
  init: RequestInit;
  at: number;
  events: Opened[];
}

export type Behaviour = (call: Call, fake: FakeWorld) => Response | Promise<Response>;

export const json = (body: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } });

export const failure = (status: number, code: string, headers: Record<string, string> = {}): Response =>
  json({ error: { code, message: "-" } }, status, headers);

export const accept: Behaviour = ({ events }) =>
  json({ results: events.map(({ id }) => ({ event_id: id, status: "ok", reason: "appended" })) });

export const down: Behaviour = () => Promise.reject(new TypeError("Failed to fetch"));

/** Never answers; the request ends only when it is aborted. */
export const silent: Behaviour = ({ init }) =>
  new Promise((_, reject) => init.signal?.addEventListener("abort", () => reject(new DOMException("", "AbortError"))));

export class Server {
  behaviour: Behaviour = accept;
  readonly calls: Call[] = [];
  open = 0;
  mostOpen = 0;

  async fetch(url: string, init: RequestInit, fake: FakeWorld): Promise<Response> {
    this.open++;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    try {
      const bytes = init.body instanceof Blob ? Buffer.from(await init.body.arrayBuffer()) : Buffer.from(init.body as Uint8Array);
      const headers = new Headers(init.headers);
      const frames = headers.has("x-clickgoose-signature")
        ? verified(bytes, headers.get("x-clickgoose-signature") ?? "")
        : openBeacon(bytes).frames;
      const call = { url, init, at: fake.time, events: unframe(frames).map(open) };
      this.calls.push(call);
      return await this.behaviour(call, fake);
    } finally {
      this.open--;
    }
  }

  /** All events of all calls, each id once, in the order of their first arrival. */
  get events(): Opened[] {
    return [...new Map(this.calls.flatMap((call) => call.events).reverse().map((one) => [one.id, one])).values()].reverse();
  }
}

function verified(body: Buffer, signature: string): Buffer {
  const [, ms, found] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) ?? [];
  const expected = createHmac("sha256", keys.sign).update(`${ms}.`).update(body).digest("hex");
  if (found !== expected) throw new Error("the signature is wrong");
  return body;
}

const material = Buffer.from(keyString(), "base64url");
const keys = { seal: material.subarray(21, 53), sign: material.subarray(53) };

export function openBeacon(bytes: Buffer): { token: string; frames: Buffer } {
  const tokenEnd = 2 + bytes.readUInt16LE(0);
  const signatureEnd = tokenEnd + 2 + bytes.readUInt16LE(tokenEnd);
  const frames = bytes.subarray(signatureEnd);
  verified(frames, bytes.toString("ascii", tokenEnd + 2, signatureEnd));
  return { token: bytes.toString("ascii", 2, tokenEnd), frames };
}

export function unframe(body: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < body.length; at += 4 + body.readUInt32LE(at)) {
    frames.push(body.subarray(at + 4, at + 4 + body.readUInt32LE(at)));
  }
  return frames;
}

export function open(sealed: Buffer): Opened {
  const cipher = createDecipheriv("aes-256-gcm", keys.seal, sealed.subarray(68, 80));
  cipher.setAAD(sealed.subarray(0, 68));
  cipher.setAuthTag(sealed.subarray(-16));
  const plain = Buffer.concat([cipher.update(sealed.subarray(80, -16)), cipher.final()]);
  const body = plain.subarray(1);
  const [n, b, c, t, a] = [4, 6, 8, 10, 12].map((at) => body.readUInt16LE(at)) as [number, number, number, number, number];
  const bits = (b + 7) >> 3;
  const end = (16 + 4 * n + 4 * c + 2 * t + 2 * bits + 3) & ~3;
  const entries = Array.from({ length: plain[0] ? 0 : a }, (_, at) => at);
  return {
    id: sealed.toString("hex", 40, 56),
    session: sealed.toString("hex", 8, 24),
    device: sealed.toString("hex", 24, 40),
    sequence: sealed.readUInt32LE(56),
    sentAt: Number(sealed.readBigUInt64LE(60)),
    codec: plain[0]!,
    body,
    values: entries.map((at) => body.readFloatLE(end + 4 * a + 4 * at)),
    codes: entries.map((at) => body.readUInt16LE(end + 8 * a + 2 * at)),
  };
}
