// What every automated client does in the shop, in one of three styles: typed key by key, typed after moves of the
// pointer, or filled in by script.
const FIELDS = [
  ["name", "Test Goose"],
  ["email", "test.goose@shop.example"],
  ["phone", "+1 555 0100"],
  ["address", "Test Street 1"],
  ["postal_code", "12345"],
  ["card_number", "4242 4242 4242 4242"],
  ["card_expiry", "12/31"],
  ["card_cvv", "123"],
  ["cardholder_name", "TEST GOOSE"],
];
const AGENT_STARTED = "performance.getEntriesByName('shop.agent').length > 0";
const COLLECTED_MS = 3_500; // the agent seals all that it collects within this time
const PAID_MS = 8_000;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function shop(hands, { url, style, seed }) {
  const random = chance(seed);
  await hands.goto(url);
  await until(() => hands.evaluate(AGENT_STARTED), PAID_MS);
  await sleep(500 + 500 * random());
  for (const [name, text] of FIELDS) {
    const selector = `[name=${name}]`;
    if (style === "filled") {
      await hands.evaluate(`document.querySelector("${selector}").value = ${JSON.stringify(text)}`);
      continue;
    }
    if (style === "moved") await hands.move(100 + 500 * random(), 80 + 250 * random());
    await hands.click(selector);
    await hands.type(selector, text, style === "moved" ? 40 + Math.round(40 * random()) : 20);
  }
  await sleep(COLLECTED_MS);
  await hands.click("button[type=submit]");
  await until(() => hands.evaluate("location.pathname.startsWith('/thanks/')"), PAID_MS);
  await sleep(700);
}

async function until(done, ms) {
  const end = Date.now() + ms;
  while (Date.now() < end) {
    if (await done().catch(() => false)) return;
    await sleep(100);
  }
  throw new Error("the shop's page did not get on");
}

/** Numbers from 0 to 1 that follow from a seed: mulberry32, by Tommy Ettinger, public domain. */
function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The hands of Puppeteer's and Playwright's pages, which are the same in all that is done here. */
export function handsOf(page, version, close) {
  return {
    version,
    close,
    goto: (url) => page.goto(url, { waitUntil: "load" }),
    evaluate: (expression) => page.evaluate(expression),
    click: (selector) => page.click(selector),
    type: (_, text, delay) => page.keyboard.type(text, { delay }),
    move: (x, y) => page.mouse.move(x, y, { steps: 15 }),
  };
}
