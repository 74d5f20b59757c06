import assert from "node:assert/strict";
import { test } from "node:test";
import { scrub } from "../src/masking/scrub";
import { maskUrl } from "../src/masking/url";
import { Draw } from "./persons";

const ROUNDS = 400;
const TEXTS = [
  "{}", "card {} declined", "Invalid value {}", "(4x{},12/27)", "no account for <{}>", "user:{},", "failed: x={}", "ü{}ü",
  "TypeError: could not parse {} at https://shop.example/app.js:1:405", "'{}' is not valid", "https://shop.example/?q={} ok",
];
const PLACES = [
  "https://shop.example/u/{}/edit", "https://shop.example/pay?card={}", "https://shop.example/pay#{}", "/orders/{}",
  "https://{}:{}@shop.example/", "https://shop.example/a-{}", "wss://shop.example/{}", "https://shop.example/{}.html",
];
const HONEST_TEXTS: [string, string][] = [
  ["Checkout - Shop #1? Yes!", "Checkout - Shop #1? Yes!"],
  ["ResizeObserver loop completed with undelivered notifications.", "ResizeObserver loop completed with undelivered notifications."],
  ["Failed to fetch: HTTP 503", "Failed to fetch: HTTP 503"],
  ["form.addEventListener is not a function", "form.addEventListener is not a function"],
  [
    "Cannot read properties of undefined (reading 'x') at https://shop.example/app.4f3a.js:1:40511",
    "Cannot read properties of undefined (reading *) at https://shop.example/app.4f3a.js",
  ],
  ["can't do that: it isn't ready", "can't do that: it isn't ready"],
  ["Kasse – Bücher & Töne", "Kasse – Bücher & Töne"],
];
const URLS: [string, string][] = [
  ["https://shop.example/checkout", "https://shop.example/checkout"],
  ["https://u:p@shop.example:8443/a/b?x=1#y", "https://shop.example:8443/a/b"],
  ["https://shop.example/how-to-buy-a-new-iphone-15-case", "https://shop.example/how-to-buy-a-new-iphone-15-case"],
  ["https://shop.example/step/2", "https://shop.example/step/2"],
  ["https://shop.example/cvv/123/12/27", "https://shop.example/cvv/*/*/*"],
  ["https://shop.example/12/27.html", "https://shop.example/*/*"],
  ["https://shop.example/reset/abcd-efgh-ijkl-mno1", "https://shop.example/reset/*"],
  ["https://shop.example/password%22:%22hunter", "https://shop.example/*"],
  ["https://shop.example/deadbeefcafebabe", "https://shop.example/*"],
  ["https://user-123456.shop.example/", "https://*.shop.example/"],
  ["https://shop.example/4111/1111/1111/1111", "https://shop.example/*/*/*/*"],
  ["https://shop.example/a411/b111/c111/d111", "https://shop.example/*/*/*/*"],
  ["https://shop.example/a%3Ftoken%3Db", "https://shop.example/*"],
  ["https://4f9c1e5211114111.preview.example/", "https://*.preview.example/"],
  ["http://127.0.0.1:8080/pay", "http://127.0.0.1:8080/pay"],
  ["/cart?x=1", "/cart"],
  ["blob:https://shop.example/9b1deb4d", "blob:"],
  ["data:text/plain,jane", "data:"],
  ["about:blank#blocked", "about:"],
  ["tel:+4915123456789", "tel:"],
  ["x4111111111111111:y", "*:"],
  ["https://", ""],
  ["", ""],
];

/** No four digits in a row of a person's number are left, nor is any word of four letters of an address or token. */
function leaks(secret: string, output: string): string | undefined {
  const numbers = secret.normalize("NFKC").replace(/\D/g, "");
  const left = output.normalize("NFKC").replace(/[^\d]/g, "");
  for (let at = 0; at + 4 <= numbers.length; at++) {
    if (left.includes(numbers.slice(at, at + 4))) return numbers.slice(at, at + 4);
  }
  const words = secret.match(/[a-z][a-z\d]{4,}/gi) ?? [];
  return words.find((word) => word !== "example" && output.includes(word));
}

for (const kind of Draw.KINDS) {
  test(`no ${kind} comes out of a text or an address, wherever it stands`, () => {
    const draw = new Draw(kind);
    for (let round = 0; round < ROUNDS; round++) {
      const secret = draw.one(kind);
      const spelt = draw.spelt(secret);
      const text = TEXTS[round % TEXTS.length]!.replaceAll("{}", spelt);
      const scrubbed = scrub(text);
      assert.equal(leaks(secret, scrubbed), undefined, `${JSON.stringify(text)} gave ${JSON.stringify(scrubbed)}`);
      assert.ok(scrubbed.length <= 300);
      const place = PLACES[round % PLACES.length]!;
      for (const url of [place.replaceAll("{}", spelt), place.replaceAll("{}", encodeURIComponent(secret))]) {
        const masked = maskUrl(url);
        assert.equal(leaks(secret, masked), undefined, `${JSON.stringify(url)} gave ${JSON.stringify(masked)}`);
        assert.ok(masked.length <= 512 && !/[?#@]/.test(masked), masked);
      }
    }
  });
}

test("what is masked stays masked: a second time changes nothing that matters", () => {
  const draw = new Draw("again");
  for (let round = 0; round < ROUNDS; round++) {
    const secret = draw.one(Draw.KINDS[round % Draw.KINDS.length]!);
    const once = scrub(TEXTS[round % TEXTS.length]!.replace("{}", secret));
    assert.equal(scrub(once), once);
    const url = maskUrl(PLACES[round % PLACES.length]!.replaceAll("{}", encodeURIComponent(secret)));
    assert.equal(maskUrl(url), url);
  }
});

test("what is the page's own is kept where it can be", () => {
  for (const [text, expected] of HONEST_TEXTS) assert.equal(scrub(text), expected);
  for (const [url, expected] of URLS) assert.equal(maskUrl(url), expected);
});

test("quoted strings, words after a secret's name, and assignments go whole", () => {
  assert.equal(scrub('no such user "Jane Doe"'), "no such user *");
  assert.equal(scrub("no such user 'Jane Doe' here"), "no such user * here");
  assert.equal(scrub("no such user “Jane Doe"), "no such user *");
  assert.equal(scrub("password: hunter2!"), "password *");
  assert.equal(scrub("Bearer abcdef"), "Bearer *");
  assert.equal(scrub("name=Jane"), "name=*");
  assert.equal(scrub("cvv 123, exp 1/7"), "cvv * exp *");
  assert.equal(scrub('{"password":"hunter"}'), "{*:*}");
  assert.equal(scrub("see //x ://y?z"), "see //x *");
});

test("disguised addresses and other encodings are read through", () => {
  for (const text of ["jane.doe (at) example dot com", "jane.doe{at}example[dot]com", "jane.doe&#64;example.com", "jane.doe\\u0040example.com", "jane.doe&commat;example&period;com"]) {
    assert.doesNotMatch(scrub(`no ${text}`), /jane|doe/, text);
  }
  assert.equal(scrub("&#52;&#49;&#49;&#49; &#x34;&#x31;&#x31;&#x31;"), "*");
  assert.equal(scrub("&#99999999; %FF x"), "* x");
  assert.equal(scrub("at /reset/abcd-efgh-ijkl-mno1"), "at *");
});

test("a number split over words of a text goes as well", () => {
  assert.equal(scrub("a41 b11 c11 d11 e1"), "*");
  assert.equal(scrub("4\u200b1\u200b1\u200b1\u200b1\u200b1\u200b1"), "*");
});

test("hostile texts cost little time", () => {
  for (const unit of ["a@", "://", "a://", "'", '"', "1 ", "4111-", "%25", "=", "token ", "a.", "AB12 ", "é", "\uE000", "x1"]) {
    const text = unit.repeat(50_000);
    const began = process.cpuUsage();
    scrub(text);
    maskUrl(text);
    maskUrl(`https://shop.example/${text}`);
    const { user, system } = process.cpuUsage(began); // of the clock, another process may take any share
    assert.ok(user + system < 500_000, `${unit} took ${(user + system) / 1_000} ms`);
  }
});
