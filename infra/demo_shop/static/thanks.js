// Asks the shop's own server for the score until it is there, and shows it with its reasons.
"use strict";

const verdict = document.getElementById("verdict");
const order = document.querySelector("[data-order]").dataset.order;
const TRIES = 12;
const PAUSE_MS = 1000;

const show = (id, text) => (document.getElementById(id).textContent = text);
const DECISIONS = { allow: "allow", review: "have a person look", deny: "deny" };

function row(factor) {
  const line = document.createElement("tr");
  const [text, share] = [line.insertCell(), line.insertCell()];
  text.textContent = factor.text;
  share.textContent = `${factor.contribution > 0 ? "+" : "−"}${Math.abs(factor.contribution).toFixed(2)}`;
  share.className = factor.contribution > 0 ? "up" : "down";
  return line;
}

function showResult(result, turn) {
  verdict.dataset.decision = result.decision;
  show("sentence", turn ? "The score has come." : "The score was there before this page.");
  show("score", result.score.toFixed(0));
  show("decision", DECISIONS[result.decision]);
  document.getElementById("gauge").value = result.score;
  document.getElementById("factors").replaceChildren(...result.factors.map(row));
  const fired = Object.entries(result.smart_signals).filter(([, signal]) => signal.result).map(([name]) => name);
  show("fired", fired.length ? `Smart signals: ${fired.join(", ").replaceAll("_", " ")}` : "No smart signal fired.");
  const took = result.ledger.score / 1000 - result.received_at; // µs and ms since the epoch
  show("timing", `Scored ${took.toFixed(0)} ms after it arrived, by the model ${result.versions.model}.`);
  document.getElementById("result").hidden = false;
}

async function ask() {
  try {
    const answer = await fetch(`/orders/${order}/score`);
    return answer.ok ? await answer.json() : { state: "away" };
  } catch {
    return { state: "away" };
  }
}

async function poll() {
  for (let turn = 0; turn < TRIES; turn += 1) {
    const found = await ask();
    if (found.state === "scored") showResult(found, turn);
    if (found.state === "rejected") show("sentence", `clickgoose could not score this visit (${found.reason}). Your order is not touched by that.`);
    if (found.state === "scored" || found.state === "rejected") {
      verdict.dataset.state = found.state;
      return;
    }
    verdict.dataset.state = "none";
    show("sentence", "No score is there yet. Your order is not touched by that.");
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

poll();
