import assert from "node:assert/strict";
import { test } from "node:test";
import { watch } from "../src/activity/index";
import { FORM, click, open } from "./checkout";
import { Dom } from "./dom";

/** Everything that a person and a script do in a checkout. */
function everything(dom: Dom): void {
  const [card, name, note, free] = ["card", "name", "note", "free"].map((id) => dom.get(id)) as [HTMLInputElement, ...HTMLInputElement[]];
  click(dom, card);
  dom.fire(card, "focus");
  for (const text of ["4", "41", "411", "4111 1111 1111 1111"]) dom.key(card, text);
  dom.fire(card, "blur");
  dom.fire(name!, "focus");
  dom.fire(name!, "compositionend", { data: "Jane" });
  dom.fire(name!, "paste", { clipboardData: {} });
  dom.set(name!, "Jane Doe");
  dom.fire(name!, "input", { data: "Jane Doe", inputType: "insertFromPaste" });
  dom.fire(name!, "drop", { dataTransfer: {} });
  dom.fire(name!, "copy", { clipboardData: {} });
  dom.fire(name!, "cut", { clipboardData: {} });
  dom.fire(name!, "change");
  dom.fire(free!, "focus");
  dom.fire(free!, "keydown", { key: "p", repeat: false });
  dom.fire(free!, "input", { data: "p" });
  dom.fire(note!, "scroll");
  dom.set(dom.get("cvc"), "123");
  dom.get("cvc").dispatchEvent(new dom.window.InputEvent("input", { bubbles: true, data: "123" }));
  dom.fire(dom.get("month"), "change");
  dom.advance(2_000);
  dom.fire(dom.get("pay"), "click");
  dom.fire(dom.window, "resize");
  dom.fire(dom.window, "beforeunload");
  dom.fire(dom.document, "visibilitychange");
  dom.fire(dom.get("form"), "reset");
  dom.fire(dom.get("form"), "submit");
  dom.fire(dom.window, "error", { message: 'bad card 4111 1111 1111 1111 of "Jane"', filename: "https://shop.example/app.js?x=1" });
  dom.fire(dom.window, "unhandledrejection", { reason: new Error("jane@example.com") });
  dom.fire(dom.window, "pagehide");
  dom.advance(2_000);
}

test("whoever reads what was typed, pasted or dropped, or which key it was, is found out", () => {
  const { dom } = open();
  assert.throws(() => dom.get("card").value, /was read/);
  assert.throws(() => dom.get("free").textContent, /was read/);
  assert.throws(() => (dom.fire(dom.get("card"), "keydown") as KeyboardEvent).key, /was read/);
  assert.throws(() => (dom.fire(dom.get("card"), "input") as InputEvent).data, /was read/);
  assert.equal(dom.reads.length, 4);
});

test("nothing of that is read in anything that a person does", () => {
  const { dom, stop } = open();
  everything(dom);
  stop();
  assert.deepEqual(dom.reads, []);
  assert.deepEqual(dom.entries("agent_failed"), []);
  const codes = new Set(dom.noted.map((entry) => entry.code));
  assert.ok(codes.size === 15, `the test does what it says: ${[...codes].join(" ")}`);
  assert.doesNotMatch(JSON.stringify([dom.noted, [...dom.signals]]), /4111|jane|Doe/i);
  assert.equal(dom.signals.get("page.last_error"), "Error: *");
});

test("pointers are summed up once a second", () => {
  const { dom } = open();
  for (let move = 0; move <= 300; move++) dom.fire(dom.document.body, "pointermove", { clientX: move, clientY: 0, pointerType: "mouse" }, 1);
  for (let touch = 0; touch < 3; touch++) dom.fire(dom.document.body, "pointerdown", { clientX: 0, clientY: 0, pointerType: "touch" });
  dom.fire(dom.document.body, "pointermove", { clientX: 900, clientY: 0, pointerType: "touch" });
  assert.deepEqual(dom.entries("pointer_summary", "touch_summary"), []);
  dom.advance(1_000);
  assert.deepEqual(dom.entries("pointer_summary", "touch_summary"), ["pointer_summary 300 document", "touch_summary 3 document"]);
  dom.advance(5_000);
  assert.equal(dom.noted.length, 2, "nothing is said where nothing happened");
  assert.equal(dom.waiting, 0, "and no timer runs");
});

test("scrolling is summed up once a second, there and back; how a text field scrolls is its text's affair", () => {
  const { dom } = open();
  const root = dom.document.documentElement;
  dom.get("note").scrollTop = 50;
  dom.fire(dom.get("note"), "scroll");
  dom.advance(1_000);
  assert.deepEqual(dom.noted, []);
  for (const top of [500, 300]) {
    root.scrollTop = top;
    dom.fire(dom.document, "scroll");
    dom.fire(dom.document, "scroll");
    dom.advance(1_000);
  }
  assert.deepEqual(dom.entries("scrolled"), ["scrolled 500 document", "scrolled 200 document"]);
});

test("a resize is noted once it rests, and not where only the height changed", () => {
  const { dom } = open();
  const width = (px: number): unknown => Object.defineProperty(dom.window, "innerWidth", { value: px, configurable: true });
  for (const px of [900, 800, 750, 700]) {
    width(px);
    dom.fire(dom.window, "resize");
    dom.advance(300);
  }
  dom.advance(1_000);
  dom.fire(dom.window, "resize");
  dom.advance(1_000);
  assert.deepEqual(dom.entries(), ["resized 700 none"]);
});

test("a tab that is left and come back to, a window that loses the focus, to a frame too", () => {
  const { dom } = open();
  const show = (state: string, ms: number): void => {
    Object.defineProperty(dom.document, "visibilityState", { value: state, configurable: true });
    dom.fire(dom.document, "visibilitychange", {}, ms);
  };
  dom.fire(dom.document.body, "pointermove", { clientX: 0, clientY: 0 });
  dom.fire(dom.document.body, "pointermove", { clientX: 90, clientY: 0 });
  show("hidden", 100);
  show("visible", 7_000);
  dom.fire(dom.window, "blur");
  dom.advance(0);
  dom.get("frame").focus();
  Object.defineProperty(dom.document, "activeElement", { value: dom.get("frame"), configurable: true });
  dom.fire(dom.window, "blur");
  dom.advance(0);
  assert.deepEqual(dom.entries(), [
    "tab_left - none", "pointer_summary 90 document", "tab_returned 7000 none", "window_blurred - none", "window_blurred - frame",
  ]);
});

test("a page that goes says so with all that was still to be said, and says if it comes back", () => {
  const { dom } = open();
  dom.fire(dom.document.body, "pointerdown", { clientX: 0, clientY: 0, pointerType: "touch" });
  dom.fire(dom.window, "pagehide", { persisted: true });
  Object.defineProperty(dom.document, "visibilityState", { value: "hidden", configurable: true });
  dom.fire(dom.document, "visibilitychange");
  dom.fire(dom.window, "pageshow", { persisted: true });
  assert.deepEqual(dom.entries(), ["page_hidden - document", "touch_summary 1 document", "page_visible - document", "navigated_back - none"]);
});

test("what opens in the background is visible once it is seen", () => {
  const dom = new Dom(FORM);
  Object.defineProperty(dom.document, "visibilityState", { value: "hidden", configurable: true });
  watch(dom.log, dom.taking, dom.options);
  assert.deepEqual(dom.entries(), ["page_opened 1000 document"]);
  Object.defineProperty(dom.document, "visibilityState", { value: "visible", configurable: true });
  dom.fire(dom.document, "visibilitychange");
  assert.deepEqual(dom.entries("page_visible", "tab_returned"), ["page_visible - document"]);
});

test("closing is noted while something is entered and not sent, and is never answered", () => {
  const { dom } = open();
  dom.fire(dom.window, "beforeunload");
  assert.ok(!dom.listening.has("beforeunload"), "no listener keeps the page from the back/forward cache");
  dom.key(dom.get("card"), "4");
  const leaving = dom.fire(dom.window, "beforeunload", {}, 5_000);
  assert.equal(leaving.defaultPrevented, false);
  dom.fire(dom.get("link"), "click", {}, 100);
  dom.fire(dom.window, "beforeunload", {}, 100);
  dom.fire(dom.get("form"), "submit", {}, 5_000);
  assert.ok(!dom.listening.has("beforeunload"));
  assert.equal(dom.entries("close_attempted").length, 1);
});

test("a step back within the page is told from a step to a fragment", () => {
  const { dom } = open();
  dom.fire(dom.window, "popstate");
  Object.defineProperty(dom.window.history, "length", { value: dom.window.history.length + 1 });
  dom.fire(dom.window, "popstate");
  assert.equal(dom.entries("navigated_back").length, 1);
});

test("the navigation API, where there is one, tells back from forward", () => {
  const dom = new Dom(FORM);
  const entry = { index: 3 };
  const navigation = Object.assign(dom.document.createElement("i"), { currentEntry: entry });
  Object.assign(dom.window, { navigation });
  watch(dom.log, dom.taking, dom.options);
  for (const index of [4, 3, 3, 4]) {
    entry.index = index;
    dom.fire(navigation, "currententrychange");
  }
  assert.equal(dom.entries("navigated_back").length, 1);
});

test("errors and rejections are noted, the last one's text scrubbed; what did not load is no error of a script", () => {
  const { dom } = open();
  dom.fire(dom.window, "error", { message: "no user jane@example.com", filename: "https://shop.example/a.js?v=1" });
  assert.equal(dom.signals.get("page.last_error"), "no user * https://shop.example/a.js");
  dom.fire(dom.get("frame"), "error");
  dom.fire(dom.window, "unhandledrejection", { reason: { card: "4111" } });
  assert.equal(dom.signals.get("page.last_error"), "rejected with object");
  dom.fire(dom.window, "unhandledrejection", { reason: "Jane's card 4111111111111111" });
  assert.doesNotMatch(String(dom.signals.get("page.last_error")), /\d/);
  assert.deepEqual(dom.entries(), ["script_error - none", "promise_rejected - none", "promise_rejected - none"]);
});

test("calls of the page's scripts are timed and failures told; the agent's own and what is not a call are left out", () => {
  const { dom } = open();
  const entry = (name: string, more: object): object => ({ name, initiatorType: "fetch", duration: 80.4, responseEnd: 5, responseStatus: 200, ...more });
  dom.resources([
    entry("https://shop.example/api/pay?card=4111", {}), entry("https://shop.example/v1/events", {}),
    entry("https://shop.example/app.js", { initiatorType: "script" }), entry("https://shop.example/api", { initiatorType: "xmlhttprequest", responseStatus: 503 }),
    entry("https://shop.example/gone", { responseStatus: 0 }), entry("https://other.example/", { responseStatus: 0 }),
    entry("https://old.example/", { responseStatus: undefined }),
  ]);
  assert.deepEqual(dom.entries("api_failed"), ["api_failed 503 none", "api_failed 0 none"]);
  assert.deepEqual(dom.entries("api_timing"), Array(5).fill("api_timing 80 none"));
});

test("of what is ignored nothing at all is noted, within shadow trees too", () => {
  const { dom } = open(`${FORM}<x-box id=box class=no></x-box><x-box id=other></x-box>`, [".no", "#cvc"]);
  for (const id of ["box", "other"]) {
    dom.get(id).attachShadow({ mode: "open" }).innerHTML = `<p><input id=in-${id} name=postcode></p><p class=no><slot></slot></p>`;
  }
  const within = dom.document.createElement("div");
  within.innerHTML = "<b id=slotted></b>";
  dom.get("other").append(within);
  for (const id of ["inner", "cvc", "deep", "hidden", "box", "slotted"]) {
    const element = id === "box" ? dom.get("in-box") : dom.get(id);
    click(dom, element);
    for (const type of ["focus", "paste", "input", "copy", "change", "blur", "keydown", "scroll", "drop"]) dom.fire(element, type, { repeat: false });
    element.dispatchEvent(new dom.window.Event("input", { bubbles: true, composed: true }));
  }
  dom.set(dom.get("cvc"), "123");
  dom.set(dom.get("inner"), "jane");
  dom.advance(3_000);
  assert.deepEqual(dom.noted, []);
  dom.fire(dom.get("form"), "submit");
  assert.deepEqual(dom.entries(), [dom.entries("submitted")[0]]);
  dom.noted.length = 0;
  dom.fire(dom.get("in-other"), "focus");
  assert.deepEqual(dom.entries(), ["field_focused - postal_code"]);
});

test("selectors that are none are left out, with one warning; the others hold", () => {
  const { dom } = open(FORM, ["::no[", "#card", ">>"]);
  dom.fire(dom.get("card"), "copy");
  dom.fire(dom.get("name"), "copy");
  assert.deepEqual(dom.entries(), ["copied - name"]);
  assert.equal(dom.warnings.length, 1);
});

test("a flood of events is a bounded log with a count of the rest", () => {
  const { dom } = open();
  const [card, body] = [dom.get("card"), dom.document.body];
  for (let round = 0; round < 4_000; round++) {
    dom.fire(card, round % 2 ? "focus" : "blur");
    dom.fire(body, "pointermove", { clientX: round % 1_000, clientY: 0 });
    dom.fire(card, "copy");
    dom.fire(card, "keydown", { repeat: false }, 0.01);
    card.dispatchEvent(new dom.window.Event("input", { bubbles: true }));
  }
  dom.advance(1_000);
  assert.ok(dom.noted.length < 700, `${dom.noted.length} entries`);
  assert.ok(dom.waiting <= 1);
  const capped = dom.noted.filter((entry) => entry.code === "entries_capped").reduce((sum, entry) => sum + (entry.value ?? 0), 0);
  const copied = dom.entries("copied").length;
  assert.ok(capped >= 4_000 - copied, `${capped} counted`);
  dom.noted.length = 0;
  dom.fire(dom.get("form"), "submit");
  assert.equal(dom.entries("submitted").length, 1, "a flood of one kind leaves the others their place");
});

test("nothing that goes wrong reaches the page", () => {
  const dom = new Dom(FORM);
  let turns = 0;
  const failing = (): never => {
    turns++;
    throw new Error("full");
  };
  const stop = watch(failing, dom.taking, dom.options);
  const reported: unknown[] = [];
  dom.window.onerror = (message) => void (typeof message === "string" && reported.push(message));
  everything(dom);
  stop();
  assert.ok(turns > 30, `${turns} turns`);
  assert.deepEqual(reported, []);
});

test("what a subject trips over is an entry, and the others go on", () => {
  const { dom } = open();
  dom.fire(dom.window, "unhandledrejection", { reason: Object.defineProperty(new Error(""), "message", { get: () => assert.fail("hostile") }) });
  dom.fire(dom.get("card"), "copy");
  assert.deepEqual(dom.entries(), ["promise_rejected - none", "agent_failed - none", "copied - card_number"]);
});

test("nothing of the page is changed, and after the end nothing is left", () => {
  const dom = new Dom(FORM);
  const { window } = dom;
  const owners = [window.EventTarget, window.Node, window.Element, window.HTMLInputElement, window.Event, window.History];
  const shape = (): [string, unknown][] =>
    [window, window.document, ...owners.map((owner) => owner.prototype)].flatMap((owner) =>
      Object.entries(Object.getOwnPropertyDescriptors(owner)).map(([name, it]): [string, unknown] => [name, it.value ?? it.get]),
    );
  const before = shape();
  const html = dom.document.querySelectorAll("*").length;
  const stop = watch(dom.log, dom.taking, dom.options);
  everything(dom);
  assert.ok(shape().every(([name, it], at) => before[at]?.[0] === name && Object.is(before[at]?.[1], it)));
  assert.equal(dom.document.querySelectorAll("*").length, html);
  assert.ok(dom.listening.size > 15);
  dom.fire(dom.document.body, "pointermove", { clientX: 0, clientY: 0 });
  stop();
  assert.deepEqual([...dom.listening], []);
  assert.equal(dom.waiting, 0);
  dom.noted.length = 0;
  everything(dom);
  dom.resources([{ name: "https://shop.example/api", initiatorType: "fetch", duration: 1, responseEnd: 1 }]);
  assert.deepEqual(dom.noted, []);
});
