/**
 * Cryptography that waits for no promise, by the Stanford Javascript Crypto Library: for a page that is being left, and
 * for pages without WebCrypto.
 */

import sjcl from "sjcl-core";
import type { Bytes } from "./bytes";

const TAG_BITS = 128;
const { toBits, fromBits } = sjcl.codec.bytes;

/** AES-GCM: ciphertext and tag. `clear` is authenticated and not part of the result. */
export function encryptNow(key: Bytes, nonce: Bytes, plain: Bytes, clear: Bytes): Bytes {
  const cipher = new sjcl.cipher.aes(toBits(key));
  return Uint8Array.from(
    fromBits(sjcl.mode.gcm.encrypt(cipher, toBits(plain), toBits(nonce), toBits(clear), TAG_BITS)),
  );
}

/** HMAC-SHA256. */
export function authenticateNow(key: Bytes, data: Bytes): Bytes {
  return Uint8Array.from(fromBits(new sjcl.misc.hmac(toBits(key), sjcl.hash.sha256).encrypt(toBits(data))));
}
