import assert from "node:assert/strict";
import { test } from "node:test";
import { watch } from "../src/activity/index";
import { FORM, click, open } from "./checkout";
import { Dom } from "./dom";

test("a key counts by its interval where it writes, and no other does", () => {
  const { dom } = open();
  const card = dom.get("card");
  dom.key(card, "4");
  dom.key(card, "41", 110);
  dom.fire(card, "keydown", { repeat: false }, 50); // a modifier: neither keypress nor edit
  dom.fire(card, "keyup", {}, 20);
  dom.fire(card, "keydown", { repeat: true }, 30); // held down
  dom.fire(card, "keypress");
  dom.fire(dom.document.body, "keydown", { repeat: false }, 30);
  dom.key(card, "411", 20);
  const own = (event: Event): void => event.preventDefault(); // the page writes the digits itself
  card.addEventListener("keydown", own);
  dom.fire(card, "keydown", { repeat: false }, 90);
  dom.fire(card, "keyup", {}, 10);
  card.removeEventListener("keydown", own);
  dom.key(card, "41111", 20_000); // a pause, not a cadence
  dom.key(dom.get("note"), "x", 200);
  assert.deepEqual(dom.entries("key_interval"), ["key_interval 120 card_number", "key_interval 160 card_number", "key_interval 100 card_number"]);
});

test("a paste tells how far the caret went, and its keys are no keys", () => {
  const { dom } = open();
  const [name, email] = [dom.get("name"), dom.get("email")];
  dom.key(name, "J");
  dom.fire(name, "keydown", { repeat: false }, 100);
  dom.fire(name, "keypress");
  dom.fire(name, "paste");
  dom.set(name, "Jane Doe");
  dom.fire(name, "input");
  dom.fire(name, "keyup", {}, 20);
  dom.fire(email, "paste");
  dom.set(email, "jane@example.com");
  dom.fire(email, "input");
  dom.fire(name, "paste"); // taken over by the page
  dom.advance(10);
  dom.fire(name, "drop");
  dom.set(name, "Jane Doe Jane Doe");
  dom.fire(name, "input");
  assert.deepEqual(dom.entries("pasted", "key_interval"), ["pasted 7 name", "pasted 0 email", "pasted 0 name", "pasted 0 name"]);
});

test("copy and cut are noted with the class of the field", () => {
  const { dom } = open();
  dom.fire(dom.get("card"), "copy");
  dom.fire(dom.document.body, "cut");
  assert.deepEqual(dom.entries(), ["copied - card_number", "copied - document"]);
});

test("a field that is left tells its caret, or its edits where it has none", () => {
  const { dom } = open();
  const [card, email] = [dom.get("card"), dom.get("email")];
  dom.fire(card, "focus");
  dom.key(card, "41111");
  card.setSelectionRange(2, 2);
  dom.fire(card, "blur");
  dom.fire(email, "focus");
  dom.key(email, "a");
  dom.key(email, "jane@example.com");
  dom.fire(email, "blur");
  dom.fire(dom.get("pay"), "focus");
  dom.fire(dom.get("month"), "focus");
  dom.fire(dom.get("month"), "blur");
  assert.deepEqual(dom.entries("field_focused", "field_left"), [
    "field_focused - card_number", "field_left 5 card_number", "field_focused - email", "field_left 2 email",
    "field_focused - card_expiry", "field_left 0 card_expiry",
  ]);
});

test("steps are counted as they are reached; a submit tells when", () => {
  const { dom } = open();
  for (const id of ["email", "name", "card", "email", "note"]) dom.fire(dom.get(id), "focus");
  dom.fire(dom.get("form"), "submit", {}, 4_000);
  assert.deepEqual(dom.entries("form_step", "submitted"), ["form_step 1 form", "form_step 2 form", "form_step 1 form", "submitted 5000 form"]);
});

test("a click is one of a pointer that came along, of a key, or of neither", () => {
  const { dom } = open();
  const pay = dom.get("pay");
  click(dom, pay, 90);
  click(dom, pay, 70, 0, 500); // where it clicked before
  click(dom, dom.get("link"), 60, 1, 900); // one jump
  dom.fire(pay, "keydown", { repeat: false }, 500);
  dom.fire(pay, "click", { detail: 0 }, 1);
  dom.fire(pay, "click", { detail: 0 }, 5_000);
  dom.fire(pay, "pointerdown", { clientX: 5, clientY: 900, pointerType: "touch" }, 1_000);
  dom.fire(pay, "pointerup", { pointerType: "touch" }, 55);
  dom.fire(pay, "click");
  assert.deepEqual(dom.entries("clicked", "click_without_trail", "activated_by_key"), [
    "clicked 90 button", "clicked 70 button", "click_without_trail 60 link", "activated_by_key - button",
    "click_without_trail 0 button", "clicked 55 button",
  ]);
});

test("the click that the browser makes of a label's is not another one", () => {
  const { dom } = open();
  let clicks = 0;
  dom.get("card").addEventListener("click", (event) => (clicks += Number(event.isTrusted)));
  click(dom, dom.get("label"), 80);
  assert.equal(clicks, 1, "jsdom makes it, as browsers do");
  assert.deepEqual(dom.entries("clicked", "click_without_trail"), ["clicked 80 card_number"]);
});

test("events that a script made are counted by class, once a second, and are nothing else", () => {
  const { dom } = open();
  for (const type of ["focus", "input", "change", "keydown", "click"]) dom.get("card").dispatchEvent(new dom.window.Event(type, { bubbles: true }));
  dom.get("pay").click();
  for (const type of ["resize", "scroll", "popstate", "visibilitychange"]) dom.window.dispatchEvent(new dom.window.Event(type));
  assert.deepEqual(dom.noted, []);
  dom.advance(1_000);
  dom.get("pay").dispatchEvent(new dom.window.Event("click"));
  dom.advance(1_000);
  assert.deepEqual(dom.entries(), ["untrusted_event 5 card_number", "untrusted_event 1 button", "untrusted_event 1 button"]);
});

test("a value that a script set is found by caret, placeholder or validity", () => {
  const { dom } = open();
  dom.set(dom.get("card"), "4111111111111111");
  dom.set(dom.get("name"), "Jane Doe");
  dom.set(dom.get("cvc"), "123");
  dom.set(dom.get("email"), "jane@example.com"); // neither caret, placeholder nor required: not claimed
  dom.get("pay").dispatchEvent(new dom.window.Event("click"));
  dom.advance(1_000);
  const found = ["value_set_by_script 8 name", "value_set_by_script 16 card_number", "value_set_by_script 3 card_cvv"];
  assert.deepEqual(dom.entries("value_set_by_script"), found);
  dom.fire(dom.get("pay"), "click");
  dom.advance(1_000);
  assert.equal(dom.entries("value_set_by_script").length, 3, "each once");
});

test("it is found at the submit itself, and again in a form that was reset", () => {
  const { dom } = open();
  dom.key(dom.get("card"), "4");
  dom.advance(1_000);
  dom.set(dom.get("name"), "Jane Doe");
  dom.fire(dom.get("form"), "submit");
  assert.deepEqual(dom.entries("value_set_by_script"), ["value_set_by_script 8 name"]);
  dom.set(dom.get("card"), "");
  dom.fire(dom.get("form"), "reset");
  dom.advance(0);
  dom.set(dom.get("card"), "4111");
  dom.fire(dom.get("form"), "submit");
  assert.deepEqual(dom.entries("value_set_by_script").slice(1), ["value_set_by_script 4 card_number"]);
});

test("it is found even where the script also takes the focus, and at once when the form is sent", () => {
  const { dom } = open();
  dom.fire(dom.get("card"), "focus");
  dom.set(dom.get("card"), "4111111111111111");
  dom.fire(dom.get("form"), "submit");
  assert.deepEqual(dom.entries("value_set_by_script", "submitted"), ["value_set_by_script 16 card_number", "submitted 1000 form"]);
});

test("what a person entered, the browser filled in, or was there before, no script has set", () => {
  const { dom } = open();
  dom.key(dom.get("name"), "J");
  dom.set(dom.get("name"), "Jane Doe"); // the page tidies up
  dom.fire(dom.get("cvc"), "pointerdown", { clientX: 0, clientY: 0 });
  dom.get("card").setSelectionRange(0, 0);
  dom.set(dom.get("card"), "4111111111111111");
  dom.autofilled.add(dom.get("card"));
  dom.fire(dom.get("card"), "input");
  dom.document.body.append(Object.assign(dom.document.createElement("input"), { value: "there before" }));
  dom.advance(1_000);
  dom.fire(dom.get("pay"), "click");
  dom.advance(1_000);
  assert.deepEqual(dom.entries("value_set_by_script", "autofilled"), ["autofilled - card_number"]);
});

test("a caret that a person moved, or a value that the browser holds ready, is no script's doing", () => {
  const { dom } = open(`<form id=form><input id=card value=4111 autocomplete=cc-number><input id=name placeholder=Name></form>`);
  dom.get("card").setSelectionRange(0, 0);
  dom.fire(dom.window, "pageshow");
  dom.advance(0);
  dom.fire(dom.get("card"), "pointerdown", { clientX: 0, clientY: 0 });
  dom.get("card").setSelectionRange(4, 4);
  dom.set(dom.get("name"), "Jane Doe");
  dom.autofilled.add(dom.get("name"));
  dom.fire(dom.get("form"), "submit");
  assert.deepEqual(dom.entries("value_set_by_script", "autofilled"), []);
});

test("what the browser only offers, or restores after a reset or while loading, is neither", () => {
  const dom = new Dom(FORM);
  Object.defineProperty(dom.document, "readyState", { value: "loading", configurable: true });
  watch(dom.log, dom.taking, dom.options);
  dom.set(dom.get("card"), "4111111111111111");
  dom.fire(dom.get("pay"), "click");
  dom.advance(1_000);
  dom.fire(dom.window, "pageshow");
  dom.autofilled.add(dom.get("name"));
  dom.advance(1_000);
  dom.set(dom.get("card"), "");
  dom.fire(dom.get("form"), "reset");
  dom.fire(dom.get("pay"), "click");
  dom.advance(1_000);
  assert.deepEqual(dom.entries("value_set_by_script", "autofilled"), []);
});
