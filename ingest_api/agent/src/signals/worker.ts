/** The same questions in a dedicated worker, whose answers a script that changed the page's forgets to change. */

import type { Signals } from "../types";
import { digest, drawGeometry, drawText, HIGH, WIDE } from "./drawing";
import { mathsText, nullMessage } from "./maths";
import { ask, camel, each, look, type Loose, members, scope, take, within } from "./put";
import { constant, drawScene, graphicsNames, readScene } from "./webgl";

const NAME = "clickgoose";
const ANSWER_MS = 2_500;

/** What the worker is given by value: none of these holds on to anything around it. */
const TOOLS = {
  camel,
  constant,
  digest,
  drawText,
  drawGeometry,
  drawScene,
  readScene,
  graphicsNames,
  mathsText,
  nullMessage,
};

interface Question {
  interfaces: string[];
  /** Names of the signals of `worker` and of `worker_page`. */
  worker: string[];
  page: string[];
  wide: number;
  high: number;
}

/**
 * Answers in a worker. It is sent there as text where the page's own script cannot be run as a worker, so it holds on
 * to nothing around it but its arguments.
 */
const answer = async (tools: typeof TOOLS, question: Question): Promise<Loose> => {
  const it: Loose = globalThis;
  const agent: Loose = it.navigator;
  const ask = (one: () => unknown): Loose => {
    try {
      return one();
    } catch {
      return undefined;
    }
  };
  const step = (): number => {
    let smallest = Infinity;
    let last = it.performance.now();
    for (const end = Date.now() + 40; Date.now() < end;) {
      const now = it.performance.now();
      if (now > last) smallest = Math.min(smallest, now - last);
      last = now;
    }
    return smallest;
  };
  const picture = (draw: (context: Loose) => void): string => {
    const canvas = new it.OffscreenCanvas(question.wide, question.high);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    draw(context);
    return tools.digest(context.getImageData(0, 0, question.wide, question.high).data);
  };
  const scene = async (context: Loose): Promise<string | undefined> => {
    try {
      tools.drawScene(context);
      return tools.digest(await tools.readScene(context));
    } catch {
      return undefined;
    }
  };
  const open = (kind: string): Loose =>
    ask(() => new it.OffscreenCanvas(48, 48).getContext(kind, { preserveDrawingBuffer: true }));
  const gl = open("webgl");
  const gl2 = open("webgl2");
  const [vendor, renderer] = ask(() => tools.graphicsNames(gl)) ?? [];
  const format: Loose = ask(() => new Intl.DateTimeFormat().resolvedOptions()) ?? {};
  const brands: Loose[] = ask(() => agent.userAgentData.brands) ?? [];
  const own: Loose = {
    timezone_offset: new Date().getTimezoneOffset(),
    timezone: format.timeZone,
    webgl_vendor: vendor,
    webgl_renderer: renderer,
    extensions_count: ask(() => gl.getSupportedExtensions().length),
    languages_count: ask(() => agent.languages.length),
    clock_resolution: Math.round(step() * 1e4) / 1e4,
    global_names_count: Object.getOwnPropertyNames(it).length,
    online: agent.onLine,
    has_user_agent_data: "userAgentData" in agent,
    webgl_supported: !!gl,
    webgl2_supported: !!gl2,
    secure_context: it.isSecureContext,
    languages: ask(() => agent.languages.join()),
    locale: format.locale,
    client_hints_platform: ask(() => agent.userAgentData.platform),
    client_hints_brand: brands.map(({ brand, version }) => `${brand} ${version}`).join() || undefined,
    canvas_text: ask(() => picture(tools.drawText)),
    canvas_geometry: ask(() => picture(tools.drawGeometry)),
    webgl_version: ask(() => gl.getParameter(gl.VERSION)),
    webgl_image: await scene(gl2),
    maths: tools.mathsText(Math),
    error_message: tools.nullMessage(),
    number_format: (1234567.891).toLocaleString(),
    connection_type: ask(() => agent.connection.effectiveType),
  };
  const answers = (names: string[]): Loose =>
    Object.fromEntries(
      names.map((name) => {
        const limit = ask(() => gl[tools.constant(name)]);
        return [name, name in own ? own[name] : limit ? gl.getParameter(limit) : agent[tools.camel(name)]];
      }),
    );
  return {
    webdriver: agent.webdriver,
    interfaces: question.interfaces.filter((name) => name in it),
    worker: answers(question.worker),
    page: answers(question.page),
  };
};

const inWorker =
  typeof document === "undefined" && typeof scope.WorkerGlobalScope === "function" && scope.name === NAME;

// The agent's own script, run as a worker by the agent: it answers, and does nothing else.
if (inWorker)
  scope.onmessage = ({ data }: MessageEvent<Question>) => void answer(TOOLS, data).then(scope.postMessage.bind(scope));

/** The agent's own script where it can be a worker: of this origin, and under its own name rather than in a bundle. */
const ownScript = ask(() => {
  const url = new URL((document.currentScript as HTMLScriptElement).src);
  return url.origin === location.origin && /\/clickgoose[\w.-]*\.js$/.test(url.pathname) ? url.href : undefined;
});

function blobScript(): string {
  const tools = Object.entries(TOOLS).map(([name, tool]) => `${name}:${tool}`);
  return URL.createObjectURL(
    new Blob([`onmessage=e=>(${answer})({${tools.join()}},e.data).then(a=>postMessage(a))`], {
      type: "text/javascript",
    }),
  );
}

function consult(url: string, question: Question): Promise<Loose> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(url, { name: NAME });
    const end = (finish: () => void): void => {
      clearTimeout(timer);
      worker.terminate();
      URL.revokeObjectURL(url);
      finish();
    };
    const timer = setTimeout(() => end(() => reject(new Error("no answer"))), ANSWER_MS);
    worker.onmessage = ({ data }) => end(() => resolve(data));
    worker.onerror = (event) => {
      event.preventDefault();
      end(() => reject(new Error("no worker")));
    };
    worker.postMessage(question);
  });
}

/** A policy of the page may forbid scripts from memory, so that its own script is tried first where it can be. */
export async function describeWorker(signals: Signals): Promise<Loose> {
  const all = (family: string): string[] =>
    (["number", "boolean", "category"] as const).flatMap((kind) => members(kind, family));
  const question = {
    interfaces: all("worker_interface"),
    worker: all("worker"),
    page: all("worker_page"),
    wide: WIDE,
    high: HIGH,
  };
  const url = ownScript ?? ask(blobScript);
  const found: Loose = await within(2 * ANSWER_MS, () => consult(url!, question));
  const present = new Set<string>(found?.interfaces);
  take(signals, "boolean", "automation", { worker_webdriver: () => found && found.webdriver === true });
  each(signals, "boolean", "worker_interface", (name) => (found ? present.has(name) : undefined));
  look(signals, "worker", [], Object.fromEntries(question.worker.map((name) => [name, () => found?.worker[name]])));
  look(signals, "worker_page", [], Object.fromEntries(question.page.map((name) => [name, () => found?.page[name]])));
  take(signals, "boolean", "worker", { supported: () => !!found });
  return found;
}
