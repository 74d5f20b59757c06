// What the main thread of a page did, task by task, with the processor time of each: a busy machine does not add to it.
const CATEGORIES = ["devtools.timeline", "toplevel", "v8.execute"];
const SCRIPTS = new Set(["EvaluateScript", "FunctionCall", "RunMicrotasks", "v8.run", "v8.callFunction"]);
const LEAST_MS = 1;

export const startTrace = (page) => page.tracing.start({ categories: CATEGORIES });

/** Tasks of over 1 ms: `{wall, cpu, agent}` in ms; `agent` where the agent's script, and not only the page's, ran in it. */
export async function stopTrace(page, origin, agentPath) {
  const { traceEvents } = JSON.parse(Buffer.from(await page.tracing.stop()).toString("utf8"));
  const spans = traceEvents.filter(({ ph }) => ph === "X");
  const page_ = spans.find(({ name, args }) => name === "EvaluateScript" && args.data?.url?.startsWith(origin));
  if (!page_) throw new Error("the trace shows no script of the page");
  const own = spans.filter(({ pid, tid }) => pid === page_.pid && tid === page_.tid);
  const ran = own.filter(({ name }) => SCRIPTS.has(name)).sort((a, b) => a.ts - b.ts);
  const tasks = own.filter(({ name, dur }) => name === "ThreadControllerImpl::RunTask" && dur >= LEAST_MS * 1000);
  return tasks.map((task) => {
    const inside = ran.filter(({ ts }) => ts >= task.ts && ts <= task.ts + task.dur);
    return { wall: task.dur / 1000, cpu: (task.tdur ?? task.dur) / 1000, agent: isAgents(inside, origin, agentPath) };
  });
}

/** Promises go on without an address: what is neither the page's nor the driver's is counted as the agent's. */
function isAgents(inside, origin, agentPath) {
  const urls = inside.map(({ args }) => args?.data?.url ?? args?.data?.fileName).filter(Boolean);
  if (urls.some((url) => url.includes(agentPath))) return true;
  return inside.length > 0 && urls.length === 0;
}
