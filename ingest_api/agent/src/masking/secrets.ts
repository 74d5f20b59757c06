/**
 * What counts as a person's or a secret's trace in a text. Errs on the side of masking: the page's own words may go, a
 * person's never stay. Stricter than what the server takes for personal data (schemas/personal_data.py).
 *
 * No look-behind in any pattern: Safari before 16.4 would refuse the whole script. Each takes time linear in the text.
 */

const MAX_WORD = 64;
const JWT = /eyJ[\w-]+/;
const LONG_HEX = /[0-9a-f]{16,}/i;
const RUN = /[a-z0-9+=~]+/gi;
const CAMEL_CASE = /^[A-Z]?[a-z]+(?:[A-Z]{1,4}[a-z]{2,}){0,6}$/;

/** Words next to which even a short number may be of a card or a code, in the languages of the shops. */
export const SENSITIVE =
  /cv[cnv]|c[av]*v2|csc|verif|pr[uü]f|crypt|card|visa|amex|maestro|rupay|diners|carte|carta|cart[aã]o|kart|kort|tarjet|kaart|exp(?:ir|[mdy]|\P{L}|$)|valid(?:ad| ?(?:thru|until|to))|ablauf|g[uü]ltig|vencim|caduc|scad|wa[zż]n|giltig|pin(?!\p{L})|otp|secur|sicher|s[eé]cur|segur|sicur|säker|卡|カード|कार्ड/iu;

const NAMED: Record<string, string> = { commat: "@", period: ".", plus: "+", nbsp: " ", hyphen: "-", dash: "-", amp: "&" };

/** Parts of a path after which a secret stands. */
export const SECRET_NEXT = /token|session|\bsid\b|auth|\bsso\b|\botp\b|\bjwt\b|secret|passw|reset|magic|login|verif|confirm|activat|invit|unsubscrib/i;

/** How many decimal digits, of any script, a text has. */
export function digits(text: string): number {
  return text.match(/\p{Nd}/gu)?.length ?? 0;
}

/** The text without percent-encoding, HTML's references and JavaScript's escapes, up to three of them; U+FFFD for what is none. */
export function decoded(text: string): string {
  let plain = text;
  for (let turn = 0; turn < 3 && /[%&\\]/.test(plain); turn++) {
    plain = plain.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
      try {
        return decodeURIComponent(run);
      } catch {
        return "\uFFFD";
      }
    });
    plain = plain
      .replace(/\\u([0-9a-f]{4})|\\x([0-9a-f]{2})|&#x([0-9a-f]{1,6});?/gi, (_, ...hex) => character(parseInt(hex.find(Boolean), 16)))
      .replace(/&#(\d{1,7});?/g, (_, decimal) => character(Number(decimal)))
      .replace(/&(commat|period|plus|nbsp|hyphen|dash|amp);/g, (_, name) => NAMED[name] ?? "\uFFFD");
  }
  return plain;
}

function character(point: number): string {
  return point <= 0x10ffff ? String.fromCodePoint(point) : "\uFFFD";
}

/** The text in one script of digits and blanks (NFKC), without invisible characters. */
export function normalised(text: string): string {
  return text
    .normalize("NFKC")
    .replace(/[\p{Cf}\p{Co}\u034F\u115F\u1160\u3164]/gu, "")
    .replace(/[\p{Cc}\p{Z}]+/gu, " ");
}

/** Whether a word, decoded and normalised, may be a token, somebody's number or address, or something typed. */
export function secretive(word: string): boolean {
  const count = digits(word);
  return (
    word.length > MAX_WORD ||
    /[@\uFFFD]/.test(word) ||
    count >= 6 ||
    (count > 0 && SENSITIVE.test(word)) ||
    LONG_HEX.test(word) ||
    JWT.test(word) ||
    random(word)
  );
}

/** Whether a word looks drawn at random: long, of digits and both cases, or with many changes between the two. */
function random(word: string): boolean {
  if (word.length >= 20 && /[a-z]/.test(word) && /[A-Z]/.test(word) && /\d/.test(word)) return true;
  return (word.match(RUN) ?? []).some((run) => {
    if (run.length > 24 && !(CAMEL_CASE.test(run) && run.length <= 40 && /[A-Z]/.test(run))) return true;
    if (run.length >= 16 && !CAMEL_CASE.test(run) && !/^(?:[a-z]+|[A-Z]+)$/.test(run)) return true;
    return run.length >= 8 && (run.match(/\d(?=[a-z])|[a-z](?=\d)/gi)?.length ?? 0) >= 3;
  });
}
