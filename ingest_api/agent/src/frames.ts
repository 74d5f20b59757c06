/** Many sealed events in one body, each behind its length; and the form of a body that cannot have headers. */

import { type Bytes, concat, utf8, view } from "./bytes";

export const FRAMES_CONTENT_TYPE = "application/vnd.clickgoose.events";
export const FRAME_HEAD_BYTES = 4;

export function packFrames(frames: readonly Uint8Array[]): Bytes {
  const body = new Uint8Array(frames.reduce((total, frame) => total + 4 + frame.length, 0));
  const out = view(body);
  let at = 0;
  for (const frame of frames) {
    out.setUint32(at, frame.length, true);
    body.set(frame, at + 4);
    at += 4 + frame.length;
  }
  return body;
}

/** `u16 LE token length | token | u16 LE signature length | signature | frames`: what `sendBeacon` can carry. */
export function packBeacon(token: string, signature: string, frames: Uint8Array): Bytes {
  return concat([...[token, signature].flatMap((text) => withLength(utf8(text))), frames]);
}

function withLength(bytes: Bytes): [Bytes, Bytes] {
  return [Uint8Array.of(bytes.length & 0xff, bytes.length >> 8), bytes];
}
