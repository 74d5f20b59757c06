/** The signature of a request: HMAC-SHA256 over `t`, a full stop and the body. */

import { authenticateNow } from "./at_once";
import { type Bytes, concat, hex, utf8 } from "./bytes";

export const SIGNATURE_HEADER = "X-Clickgoose-Signature";

const signed = (body: Uint8Array, ms: number): Bytes => concat([utf8(`${ms}.`), body]);

/** By WebCrypto, with a key that no script can read again. */
export async function sign(subtle: SubtleCrypto, key: CryptoKey, body: Uint8Array, ms: number): Promise<string> {
  return `t=${ms},v1=${hex(new Uint8Array(await subtle.sign("HMAC", key, signed(body, ms))))}`;
}

/** At once. */
export function signNow(key: Bytes, body: Uint8Array, ms: number): string {
  return `t=${ms},v1=${hex(authenticateNow(key, signed(body, ms)))}`;
}

export function importSigningKey(subtle: SubtleCrypto, key: Bytes): Promise<CryptoKey> {
  return subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
}
