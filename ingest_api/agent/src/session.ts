/** One session: what `POST /v1/sessions` gave to the page, ready to seal and to sign. */

import { type Bytes, hex, unbase64url, view } from "./bytes";
import { Sealer } from "./seal";
import { importSigningKey, sign, signNow } from "./sign";
import type { Options } from "./types";
import { attempt, type World } from "./world";

const KEY_VERSION = 1;
const KEY_BYTES = 85;
/** A token that seems to end sooner tells of a wrong clock more often than of a late page. */
const SHORTEST_MS = 120_000;
const SEQUENCE_ITEM = "clickgoose.sequence";

/** Where events of one session go, and with which credential. An earlier page's events come with one as well. */
export interface Channel {
  /** Session id in hex. */
  readonly id: string;
  readonly endpoint: string;
  readonly token: string;
  sign(body: Bytes, ms: number): Promise<string>;
  /** The server asked for packed events. */
  deflate: boolean;
  /** The server will never again take events of this session. */
  closed: boolean;
}

export interface SessionKey {
  keyId: number;
  sessionId: Bytes;
  seal: Bytes;
  sign: Bytes;
}

/** `version u8 = 1 | key id u32 LE | session id 16 | sealing key 32 | signing key 32` in base64url. */
export function readKey(text: string): SessionKey | undefined {
  const bytes = unbase64url(text);
  if (bytes?.length !== KEY_BYTES || bytes[0] !== KEY_VERSION) return undefined;
  return {
    keyId: view(bytes).getUint32(1, true),
    sessionId: bytes.slice(5, 21),
    seal: bytes.slice(21, 53),
    sign: bytes.slice(53),
  };
}

export class Session implements Channel {
  readonly id: string;
  readonly endpoint: string;
  readonly token: string;
  readonly keyId: number;
  readonly sessionId: Bytes;
  readonly sealer: Sealer;
  /** Unix ms after which the token is refused, where the token says so and this device's clock makes sense of it. */
  readonly expiresAt: number | undefined;
  deflate = false;
  closed = false;
  /** The signing key in a form that can be stored and not be read; undefined where WebCrypto is missing. */
  stored: CryptoKey | undefined;
  private readonly signKey: Bytes;
  private sequence: number;

  constructor(
    private readonly world: World,
    options: Pick<Options, "endpoint" | "token">,
    key: SessionKey,
  ) {
    this.id = hex(key.sessionId);
    this.endpoint = options.endpoint;
    this.token = options.token;
    this.keyId = key.keyId;
    this.sessionId = key.sessionId;
    this.signKey = key.sign;
    this.sealer = new Sealer(key.seal, world.subtle);
    const end = expiry(options.token);
    this.expiresAt = end !== undefined && end - SHORTEST_MS > world.now() ? end : undefined;
    this.sequence = this.savedSequence();
    if (world.subtle) this.importKey(world.subtle);
  }

  sign(body: Bytes, ms: number): Promise<string> {
    const { subtle } = this.world;
    if (!subtle || !this.stored) return Promise.resolve(this.signNow(body, ms));
    return sign(subtle, this.stored, body, ms).catch(() => this.signNow(body, ms));
  }

  signNow(body: Bytes, ms: number): string {
    return signNow(this.signKey, body, ms);
  }

  /** Counts up over all pages of this tab that use the session. */
  nextSequence(): number {
    const next = this.sequence++;
    attempt(() => this.world.sessionStorage?.setItem(SEQUENCE_ITEM, `${this.id}:${this.sequence}`));
    return next;
  }

  private savedSequence(): number {
    const [id, next] = (attempt(() => this.world.sessionStorage?.getItem(SEQUENCE_ITEM)) ?? "").split(":");
    return id === this.id ? Number(next) >>> 0 : 0;
  }

  private importKey(subtle: SubtleCrypto): void {
    const imported = attempt(() => importSigningKey(subtle, this.signKey));
    imported?.then((key) => (this.stored = key)).catch(() => undefined); // then it is signed by the other means
  }
}

/** A later page's channel for an earlier page's events: all that is left of that session is what was stored. */
export function storedChannel(
  subtle: SubtleCrypto,
  row: { id: string; endpoint: string; token: string; key: CryptoKey },
): Channel {
  return {
    id: row.id,
    endpoint: row.endpoint,
    token: row.token,
    sign: (body, ms) => sign(subtle, row.key, body, ms),
    deflate: false,
    closed: false,
  };
}

/** `exp` of a JSON web token in Unix ms; a token of another form says nothing. */
function expiry(token: string): number | undefined {
  const claims = attempt(() => {
    const bytes = unbase64url(token.split(".")[1] ?? "");
    return bytes && (JSON.parse(new TextDecoder().decode(bytes)) as { exp?: unknown } | null);
  });
  return typeof claims?.exp === "number" ? claims.exp * 1_000 : undefined;
}
