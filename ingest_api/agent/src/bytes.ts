/** Bytes and their text forms. */

export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = typeof TextEncoder === "function" ? new TextEncoder() : undefined;

/** UTF-8 of a text; a lone surrogate becomes U+FFFD, as the reader on the other side expects. */
export function utf8(text: string): Bytes {
  return encoder ? (encoder.encode(text) as Bytes) : new Uint8Array(0);
}

export function concat(parts: readonly Uint8Array[]): Bytes {
  const joined = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += (byte < 16 ? "0" : "") + byte.toString(16);
  return text;
}

/** The bytes of a hexadecimal text of this many bytes, or undefined where it is none. */
export function unhex(text: unknown, length: number): Bytes | undefined {
  if (typeof text !== "string" || text.length !== 2 * length || !/^[0-9a-f]*$/.test(text)) return undefined;
  return Uint8Array.from({ length }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

/** The bytes of base64url without padding, or undefined where the text is none. */
export function unbase64url(text: string): Bytes | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return undefined;
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

export function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
