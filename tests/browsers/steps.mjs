// What a person does with a page, and what can be seen of it from outside.
import { startTrace, stopTrace } from "./trace.mjs";

const STEP_MS = 20_000;
const KEY_MS = 25;

export class Steps {
  static async begin(browser, options, asked) {
    const steps = new Steps(browser, options, asked);
    const [page] = await browser.pages();
    await steps.watch(page ?? (await browser.newPage()));
    return steps;
  }

  constructor(browser, options, asked) {
    this.browser = browser;
    this.firefox = options.browser === "firefox";
    this.asked = asked;
    this.forget();
  }

  forget() {
    this.requests = [];
    this.console = [];
    this.errors = [];
  }

  async watch(page) {
    this.page = page;
    page.setDefaultTimeout(STEP_MS);
    await page.setViewport({ width: 1280, height: 800 });
    page.on("request", (request) => {
      if (!request.url().startsWith("data:")) this.requests.push({ url: request.url(), method: request.method() });
    });
    page.on("console", (message) => this.console.push({ type: message.type(), text: message.text() }));
    page.on("pageerror", (error) => this.errors.push(String(error?.message ?? error)));
    page.on("dialog", (dialog) => dialog.accept());
  }

  async run(name, given) {
    const step = STEPS[name];
    if (!step) throw new Error(`there is no step ${name}`);
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(reject, given.timeout ?? STEP_MS, new Error(`${name} took too long`));
    });
    return Promise.race([step(this, given), late]).finally(() => clearTimeout(timer));
  }

  /** Presses a key together with Control. Chromium's editing commands belong to its window, so they are named. */
  async chord(page, key, command) {
    await page.keyboard.down("Control");
    await page.keyboard.press(key, this.firefox ? {} : { commands: [command] });
    await page.keyboard.up("Control");
  }
}

const STEPS = {
  goto: async ({ page }, { url, until = "load" }) => {
    await page.goto(url, { waitUntil: until, timeout: STEP_MS });
  },
  back: async ({ page }) => {
    await page.goBack({ waitUntil: "load", timeout: STEP_MS });
  },
  reload: async ({ page }) => {
    await page.reload({ waitUntil: "load", timeout: STEP_MS });
  },
  type: async ({ page }, { selector, text, delay = KEY_MS }) => {
    await page.click(selector);
    await page.keyboard.type(text, { delay });
  },
  click: async ({ page }, { selector }) => {
    await page.click(selector);
  },
  press: async ({ page }, { key }) => {
    await page.keyboard.press(key);
  },
  scroll: async ({ page }, { pixels }) => {
    await page.mouse.wheel({ deltaY: pixels });
  },
  move: async ({ page }, { x, y, steps = 12 }) => {
    await page.mouse.move(x, y, { steps });
  },
  /** Puts a text on the clipboard as a person does: from another page, before this one is opened. */
  copy: async (self, { text }) => {
    const page = await self.browser.newPage();
    await page.setContent("<textarea></textarea>");
    await page.$eval("textarea", (area, value) => { area.value = value; area.focus(); area.select(); }, text);
    await self.chord(page, "c", "Copy");
    await page.close();
    await self.page.bringToFront();
  },
  paste: async (self, { selector }) => {
    await self.page.click(selector);
    await self.chord(self.page, "v", "Paste");
  },
  leave: async (self, { ms = 300 }) => {
    const other = await self.browser.newPage();
    await other.bringToFront();
    await sleep(ms);
    await other.close();
    await self.page.bringToFront();
  },
  evaluate: async ({ page }, { expression }) => page.evaluate(expression),
  appears: async ({ page }, { selector, timeout = STEP_MS }) => {
    await page.waitForSelector(selector, { visible: true, timeout });
  },
  becomes: async ({ page }, { expression, timeout = STEP_MS }) => {
    await page.waitForFunction(expression, { timeout, polling: 50 });
  },
  sleep: async (_, { ms }) => sleep(ms),
  screenshot: async ({ page }, { path }) => {
    await page.screenshot({ path, fullPage: true });
  },
  trace: async ({ page }) => startTrace(page),
  traced: async ({ page }, { origin, agent }) => stopTrace(page, origin, agent),
  seen: async ({ requests, console, errors, asked }) => ({ requests, console, errors, outside: asked }),
  forget: async (self) => self.forget(),
  early: async ({ page }, { script }) => {
    await page.evaluateOnNewDocument(script);
  },
};

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
