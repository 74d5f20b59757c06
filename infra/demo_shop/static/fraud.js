// What a merchant adds for clickgoose. Nothing waits for it: without a session or without the agent the shop goes on.
"use strict";

{
  const form = document.getElementById("checkout");
  const order = form.dataset.order;

  const send = (path, body) =>
    fetch(path, {
      method: "POST",
      keepalive: true,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });

  async function session() {
    const answer = await send("/session", { order });
    if (answer.status !== 200) throw new Error("There is no session.");
    return answer.json();
  }

  const agent = () =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = "/agent/clickgoose.js";
      script.onload = () => resolve(clickgoose);
      script.onerror = reject;
      document.head.append(script);
    });

  async function watch() {
    const options = await session();
    const goose = await agent();
    performance.mark("shop.agent");
    goose.start({ ...options, renew: session });

    // The payment goes on meanwhile; the shop's server asks for the score of this event when it has its id.
    form.addEventListener("submit", () => {
      void goose.flush();
      const eventId = goose.lastEventId();
      if (eventId) send(`/orders/${order}/event`, { event_id: eventId }).catch(() => {});
    });
    form.addEventListener("payment", ({ detail }) => goose.mark(detail.ok ? "payment_succeeded" : "payment_declined"));

    const steps = [...form.querySelectorAll("fieldset")];
    let step = -1;
    form.addEventListener("focusin", ({ target }) => {
      const next = steps.indexOf(target.closest("fieldset"));
      if (next >= 0 && next !== step) goose.mark("form_step", (step = next) + 1);
    });
  }

  watch().catch(() => {});
}
