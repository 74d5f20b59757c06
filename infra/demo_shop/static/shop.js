// The shop's own script. It knows nothing of clickgoose, and works the same without it.
"use strict";

const form = document.getElementById("checkout");
const problem = document.getElementById("problem");
const button = form.querySelector("button");

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { ok: answer.ok, ...(await answer.json()) };
}

form.addEventListener("change", async (event) => {
  if (event.target.name !== "shipping") return;
  const start = performance.now();
  const quote = await post("/quote", { shipping: event.target.value });
  document.getElementById("total").value = quote.total;
  performance.measure("shop.quote", { start });
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  problem.hidden = true;
  const start = performance.now();
  try {
    const paid = await post("/pay", { order: form.dataset.order, ...Object.fromEntries(new FormData(form)) });
    performance.measure("shop.pay", { start });
    form.dispatchEvent(new CustomEvent("payment", { detail: { ok: paid.ok } }));
    if (paid.ok) {
      location.assign(paid.thanks);
      return;
    }
    problem.textContent = paid.error;
  } catch {
    problem.textContent = "The shop does not answer. Try again.";
  }
  problem.hidden = false;
  button.disabled = false;
});
