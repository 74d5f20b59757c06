/** Texts that the page made, such as errors and titles, as they may leave the page. */

import { SECRET_NEXT, SENSITIVE, decoded, digits, normalised, secretive } from "./secrets";
import { maskUrl } from "./url";

const MAX_LENGTH = 300;
const MAX_READ = 2000;
const MANY_DIGITS = 9;
const FIRST_PLACE = 0xe000; // private-use characters stand for masked URLs; normalised() leaves none in a text
const MAX_URLS = 64;
const ADDRESS = /\b[a-z][a-z0-9+.-]*:\/\/(?:[^\s"'`“”«»=]|=(?!')|'(?=\w))*/gi;
const POSITION = /(?::\d+){1,2}[^\w/]*$/; // line and column, as stack traces write them
const QUOTED: readonly [RegExp, string][] = [
  [/"[^"]*(?:"|$)/g, "*"],
  [/`[^`]*(?:`|$)/g, "*"],
  [/(^|[^\p{L}\p{Nd}'])'.*?(?:'(?![\p{L}\p{Nd}])|$)/gu, "$1*"],
  [/[“„”«»‹‘‚「『][^”“»«›’‘」』]*(?:[”“»«›’‘」』]|$)/g, "*"],
];
const PATTERNS: readonly [RegExp, string][] = [
  [/(^|\s)\S*?\s?(?:@|[[({<] ?at ?[\])}>])\s?\S*/gi, "$1*"], // e-mail
  [
    /(pass\p{L}*|pwd|kennwort|mot de passe|contrase\p{L}*|senha|wachtwoord|has[lł]o|l[oö]senord|secret|tokens?|bearer|basic|auth\p{L}*|api[ _-]?key|session[ _-]?id)(?!\p{L})[\s:=]*\S+/giu,
    "$1 *",
  ],
  [/=[^\s=>]\S*/g, "=*"],
  [/(^|[^a-z0-9])[a-z]{2}\d{2}(?:[\s.-]?[a-z0-9]{2,4}){3,}/gi, "$1*"], // IBAN
  [/(^|[^a-z])[a-z]{5}[\s-]?\d{4}[\s-]?[a-z](?![a-z])/gi, "$1*"], // PAN of India
  [/\+?\p{Nd}(?:[^\p{L}\p{Nd}\uE000-\uE03F]{0,3}\p{Nd}){3,}/gu, "*"], // cards, phones, expiry dates, codes
];

/**
 * Returns a text without URLs' queries, quoted strings, e-mail addresses, numbers of four digits and more (whatever
 * separates them), tokens and words after "password" or "token": each becomes `*`. At most 300 characters.
 */
export function scrub(text: string): string {
  const urls: string[] = [];
  const keep = (url: string): string => {
    if (urls.length === MAX_URLS) return " * ";
    urls.push(maskUrl(url.replace(POSITION, "")));
    return ` ${String.fromCharCode(FIRST_PLACE + urls.length - 1)} `;
  };
  const read = text.length > MAX_READ ? text.slice(0, MAX_READ).replace(/\S*$/, "") : text;
  let rest = normalised(read).replace(ADDRESS, keep);
  rest = words(decoded(rest)).replace(ADDRESS, keep);
  for (const [pattern, mask] of [...QUOTED, ...PATTERNS]) rest = rest.replace(pattern, mask);
  const clean = maskWords(rest).replace(/[\uE000-\uE03F]/g, (place) => urls[place.charCodeAt(0) - FIRST_PLACE] ?? "*");
  return clean.replace(/\s+/g, " ").replace(/\*(?:[ *]*\*)+/g, "*").trim().slice(0, MAX_LENGTH);
}

/** What percent-encoding hid is normalised too; the places of URLs stay. */
function words(text: string): string {
  return text
    .split(/([\uE000-\uE03F])/)
    .map((part, index) => (index % 2 ? part : normalised(part)))
    .join("");
}

/** A path without a host, in which a secret may follow what names it. */
function path(word: string): boolean {
  const slash = word.indexOf("/");
  return slash >= 0 && SECRET_NEXT.test(word) && (/\d/.test(word) || word.length - slash > 16);
}

function maskWords(text: string): string {
  const anyDigit = SENSITIVE.test(text) || digits(text) >= MANY_DIGITS;
  return text
    .split(" ")
    .map((word) => {
      const count = digits(word);
      return count > 3 || (anyDigit && count > 0) || word.includes("://") || secretive(word) || path(word) ? "*" : word;
    })
    .join(" ");
}
