/** The sealed event, byte for byte as `schemas/sealed.py` has it: header 68, nonce 12, AES-256-GCM of the payload. */

import { encryptNow } from "./at_once";
import { type Bytes, concat, view } from "./bytes";

export const NONCE_BYTES = 12;
/** What sealing adds to a payload: header, nonce, codec byte, unpacked size, tag. */
export const OVERHEAD_BYTES = 68 + NONCE_BYTES + 1 + 4 + 16;
const RAW = 0;
const DEFLATE_RAW = 1;

export interface Header {
  keyId: number;
  sessionId: Uint8Array;
  deviceId: Uint8Array;
  eventId: Uint8Array;
  sequence: number;
  /** Unix ms. */
  sentAt: number;
}

export function packHeader(header: Header): Bytes {
  const bytes = new Uint8Array(68);
  const out = view(bytes);
  bytes.set([0x43, 0x47, 1, 0]); // "CG", version 1, no flags
  out.setUint32(4, header.keyId, true);
  bytes.set(header.sessionId, 8);
  bytes.set(header.deviceId, 24);
  bytes.set(header.eventId, 40);
  out.setUint32(56, header.sequence, true);
  out.setUint32(60, header.sentAt % 2 ** 32, true);
  out.setUint32(64, Math.floor(header.sentAt / 2 ** 32), true);
  return bytes;
}

/** The plaintext of a body that is not packed. */
function raw(body: Uint8Array): Bytes {
  return concat([Uint8Array.of(RAW), body]);
}

/** The plaintext of a body packed by the browser itself, or undefined where the browser cannot. */
export async function deflated(body: Bytes): Promise<Bytes | undefined> {
  if (typeof CompressionStream !== "function") return undefined;
  const stream = new Blob([body]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  const head = new Uint8Array(5);
  head[0] = DEFLATE_RAW;
  view(head).setUint32(1, body.length, true);
  return concat([head, packed]);
}

/** Seals the events of one session. */
export class Sealer {
  private key: Promise<CryptoKey> | undefined;

  constructor(
    private readonly bytes: Bytes,
    private readonly subtle: SubtleCrypto | undefined,
  ) {}

  /** By WebCrypto, packed where `deflate` says so; where the browser lacks either, as `sealNow`. */
  async seal(header: Bytes, body: Bytes, nonce: Bytes, deflate: boolean): Promise<Bytes> {
    if (!this.subtle) return this.sealNow(header, body, nonce);
    try {
      this.key ??= this.subtle.importKey("raw", this.bytes, "AES-GCM", false, ["encrypt"]);
      const plain = (deflate && (await deflated(body))) || raw(body);
      const how = { name: "AES-GCM", iv: nonce, additionalData: header, tagLength: 128 };
      return concat([header, nonce, new Uint8Array(await this.subtle.encrypt(how, await this.key, plain))]);
    } catch {
      return this.sealNow(header, body, nonce); // the same bytes by other means: nothing is hidden by this
    }
  }

  /** At once, for a page that is being left: promises no longer run there. */
  sealNow(header: Bytes, body: Bytes, nonce: Bytes): Bytes {
    return concat([header, nonce, encryptNow(this.bytes, nonce, raw(body), header)]);
  }
}
