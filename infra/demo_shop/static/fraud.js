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
    form.addEventListener("submit", async () => {
      // The payment goes on meanwhile; the shop's server asks for the score of this event when it has its id.
      const eventId = await goose.flush();
      if (eventId) await send(`/orders/${order}/event`, { event_id: eventId });
    });
  }

  watch().catch(() => {});
}
