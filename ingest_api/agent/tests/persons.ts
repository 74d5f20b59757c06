/** Personal data that nobody owns, drawn from a seed, in the spellings that people and programs use. */

const SEPARATORS = ["", " ", "-", ".", "\u00a0", "\u2009", " - ", "\t", "/", "_", ", ", "\u2011", "\u200b"];
const ISSUERS = ["4", "51", "55", "2221", "34", "37", "6011", "65", "36", "3528", "62", "6304", "2200", "8600"];
const IBANS: [string, string][] = [
  ["DE", "#".repeat(18)], ["GB", `@@@@${"#".repeat(14)}`], ["FR", "#".repeat(23)], ["NL", `@@@@${"#".repeat(10)}`],
  ["PL", "#".repeat(24)], ["MT", `@@@@${"#".repeat(23)}`], ["NO", "#".repeat(11)],
];
const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const WORDS = ["jane", "doe", "rosalind", "miller", "petrov", "garcia", "yamada", "kowalska"];

type Kind = (typeof Draw.KINDS)[number];

export class Draw {
  static readonly KINDS = [
    "card number", "e-mail address", "phone number", "IBAN", "Aadhaar number", "PAN of India", "expiry date", "token", "UUID",
  ] as const;
  private state: number;

  constructor(seed: string) {
    this.state = [...seed].reduce((hash, letter) => Math.imul(hash, 31) + letter.charCodeAt(0), 7) >>> 0;
  }

  /** One of a kind, separators and all. */
  one(kind: Kind): string {
    switch (kind) {
      case "card number":
        return this.grouped(this.card(), 4);
      case "e-mail address":
        return `${this.pick(WORDS)}.${this.pick(WORDS)}${this.digits(this.below(3))}@${this.pick(WORDS)}.example`;
      case "phone number":
        return this.pick([`+49 151 ${this.digits(8)}`, `+1 (555) ${this.digits(3)}-${this.digits(4)}`, `0${this.grouped(this.digits(9), 3)}`]);
      case "IBAN":
        return this.grouped(this.iban(), 4, ["", " ", "-", "\u00a0"]);
      case "Aadhaar number":
        return this.grouped(`${2 + this.below(8)}${this.digits(11)}`, 4, ["", " ", "-"]);
      case "PAN of India":
        return `${this.letters(5)}${this.digits(4)}${this.letters(1)}`.toUpperCase();
      case "expiry date":
        return `${this.pick(["0", "1"])}${this.below(3)}${this.pick(["/", " / ", "-"])}20${20 + this.below(70)}`;
      case "token":
        return this.pick([`eyJ${this.base64(30)}.${this.base64(40)}.${this.base64(20)}`, this.hex(32), this.hex(16), this.base64(40)]);
      case "UUID":
        return [8, 4, 4, 4, 12].map((size) => this.hex(size)).join("-");
    }
  }

  /** As it is, percent-encoded once to thrice, or with full-width digits. */
  spelt(text: string): string {
    switch (this.below(5)) {
      case 0:
        return encodeURIComponent(text);
      case 1:
        return encodeURIComponent(encodeURIComponent(encodeURIComponent(text)));
      case 2:
        return text.replace(/\d/g, (digit) => String.fromCharCode(0xff10 + Number(digit)));
      default:
        return text;
    }
  }

  private card(): string {
    const issuer = this.pick(ISSUERS);
    const size = issuer.startsWith("3") && issuer.length === 2 ? 15 : 16;
    const digits = issuer + this.digits(size - 1 - issuer.length);
    const sum = [...digits].reverse().reduce((total, digit, at) => {
      const doubled = Number(digit) * (at % 2 ? 1 : 2);
      return total + (doubled > 9 ? doubled - 9 : doubled);
    }, 0);
    return `${digits}${(10 - (sum % 10)) % 10}`;
  }

  private iban(): string {
    const [country, shape] = this.pick(IBANS);
    const account = [...shape].map((sign) => (sign === "#" ? this.digits(1) : this.letters(1).toUpperCase())).join("");
    const spelt = [...`${account}${country}00`].map((sign) => parseInt(sign, 36)).join("");
    return `${country}${String(98n - (BigInt(spelt) % 97n)).padStart(2, "0")}${account}`;
  }

  private grouped(text: string, size: number, separators = SEPARATORS): string {
    return (text.match(new RegExp(`.{1,${size}}`, "g")) ?? []).join(this.pick(separators));
  }

  private digits(count: number): string {
    return Array.from({ length: count }, () => this.below(10)).join("");
  }

  private letters(count: number): string {
    return Array.from({ length: count }, () => LETTERS[this.below(26)]).join("");
  }

  private hex(count: number): string {
    return Array.from({ length: count }, () => this.below(16).toString(16)).join("");
  }

  private base64(count: number): string {
    const signs = `${LETTERS}${LETTERS.toUpperCase()}0123456789-_`;
    return Array.from({ length: count }, () => signs[this.below(64)]).join("");
  }

  private pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** mulberry32. */
  private below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * limit);
  }
}
