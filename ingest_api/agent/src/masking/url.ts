/** URLs as they may leave the page: origin and path, without whatever may be about a person. */

import { SECRET_NEXT, decoded, digits, normalised, secretive } from "./secrets";

const MAX_LENGTH = 512;
const MAX_READ = 4096;
const MANY_DIGITS = 4;
const MANY_IN_HOST = 9;
const RELATIVE = "http://relative.invalid";
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;

/**
 * Returns `scheme://host[:port]/path` of an http(s) or ws(s) URL, the path alone of a relative one, `scheme:` of any
 * other, "" of what is none. Credentials, query and fragment go; a segment of the path that looks like a secret or a
 * person becomes `*`. At most 512 characters.
 */
export function maskUrl(url: string): string {
  const text = url.slice(0, MAX_READ).trim();
  const parsed = text ? parse(text) : undefined;
  if (!parsed) return "";
  if (!/^(?:https?|wss?):$/.test(parsed.protocol)) return /^[a-z+.-]{1,24}:$/.test(parsed.protocol) ? parsed.protocol : "*:";
  const relative = parsed.origin === RELATIVE;
  const host = relative ? "" : maskHost(parsed.hostname);
  const path = maskPath(parsed.pathname, IPV4.test(host) ? 0 : digits(host));
  const port = parsed.port && `:${parsed.port}`;
  const whole = relative ? path : `${parsed.protocol}//${host}${port}${path}`;
  return whole.length > MAX_LENGTH ? `${whole.slice(0, whole.lastIndexOf("/", MAX_LENGTH - 2) + 1)}*` : whole;
}

function parse(text: string): URL | undefined {
  try {
    return new URL(text, RELATIVE);
  } catch {
    return undefined;
  }
}

/** A host is the shop's, not the person's; yet the name of a preview or of a tenant may be made of a secret. */
function maskHost(host: string): string {
  if (IPV4.test(host)) return host;
  const many = digits(host) >= MANY_IN_HOST;
  return host
    .split(".")
    .map((label) => (secretive(label) || (many && /\d/.test(label)) ? "*" : label))
    .join(".");
}

/** Where many digits are about, those of one number may be split over segments, and every group of them goes. */
function maskPath(path: string, digitsBefore: number): string {
  const many = digitsBefore + digits(decoded(path)) >= MANY_DIGITS;
  const mask = (segment: string, before: string): boolean =>
    sensitive(segment) ||
    (many && digits(decoded(segment)) > 1) ||
    (SECRET_NEXT.test(before) && (segment.length >= 16 || /\d/.test(decoded(segment))));
  const all = path.split("/");
  const segments = all.map((segment, at) => (segment && mask(segment, all[at - 1] ?? "") ? "*" : segment));
  // Many segments of one digit each may be a number, too.
  if (digits(decoded(segments.join("/"))) < MANY_DIGITS) return segments.join("/");
  return segments.map((segment) => (/\p{Nd}/u.test(decoded(segment)) ? "*" : segment)).join("/");
}

/** A number alone stays up to one digit (a step, a page): `/cvv/123` and `/12/27` may be a card's. */
function sensitive(segment: string): boolean {
  const plain = normalised(decoded(segment));
  return (!/\p{L}/u.test(plain) && digits(plain) > 1) || /[?#\s=:"']/.test(plain) || secretive(plain);
}
