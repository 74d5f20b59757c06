/** One hidden frame of the page's own origin: the same questions in a fresh realm, and a place for layout. */

import type { Signals } from "../types";
import { cost } from "./clock";
import { digest, drawText, pixels } from "./drawing";
import { mathsText, nullMessage } from "./maths";
import { ask, each, look, type Loose, members, take, within } from "./put";
import { close, graphicsNames, open } from "./webgl";

const LOAD_MS = 500;

export interface Frame {
  /** The frame's window, undefined where the page has no place for one. */
  readonly window: Loose;
  remove(): void;
}

/** Firefox puts another document in after the first: nothing is laid into the frame before it has loaded. */
export async function openFrame(): Promise<Frame> {
  const element = document.createElement("iframe");
  const hidden = {
    position: "fixed",
    top: "0",
    left: "-9999px",
    width: "640px",
    height: "320px",
    border: "0",
    visibility: "hidden",
  };
  for (const [name, value] of Object.entries(hidden)) element.style.setProperty(name, value, "important");
  element.setAttribute("aria-hidden", "true");
  element.tabIndex = -1;
  await within(
    LOAD_MS,
    () =>
      new Promise((resolve) => {
        element.addEventListener("load", resolve, { once: true });
        document.documentElement.appendChild(element);
      }),
  );
  return {
    window: ask(() => element.contentWindow!.document.body && element.contentWindow),
    remove: () => element.remove(),
  };
}

export function describeFrame(signals: Signals, { window: it }: Frame): void {
  const agent: Loose = ask(() => it.navigator);
  const format = (): Loose => new it.Intl.DateTimeFormat().resolvedOptions();
  look(signals, "frame", [agent], { screen_width: () => it.screen.width, supported: () => !!it });
  look(signals, "frame_page", [agent, it, it?.screen], {
    screen_height: () => it.screen.height,
    timezone_offset: () => new it.Date().getTimezoneOffset(),
    window_names_count: () => it.Object.getOwnPropertyNames(it).length,
    navigator_names_count: () => it.Object.getOwnPropertyNames(it.Navigator.prototype).length,
    has_chrome: () => "chrome" in it,
    native_code_differs: () => it.Function.prototype.toString.call(it.eval) !== Function.prototype.toString.call(eval),
    chrome_differs: () => "chrome" in it !== "chrome" in window,
    languages: () => agent.languages.join(),
    timezone: () => format().timeZone,
    locale: () => format().locale,
    maths: () => mathsText(it.Math),
    error_message: nullMessage,
    client_hints_platform: () => agent.userAgentData.platform,
  });
  take(signals, "boolean", "automation", { iframe_webdriver: () => it && agent.webdriver === true });
}

export function describeFrameCanvas(signals: Signals, { window: it }: Frame): void {
  take(signals, "category", "frame_page", { canvas_text: () => digest(pixels(drawText, it.document)) });
}

export function describeFrameGraphics(signals: Signals, { window: it }: Frame): void {
  const gl = ask(() => open("webgl", it.document));
  const [vendor, renderer] = ask(() => graphicsNames(gl)) ?? [];
  take(signals, "category", "frame_page", { webgl_vendor: () => vendor, webgl_renderer: () => renderer });
  close(gl);
}

/** Elements in the frame: all are written before any is read, so that there is one layout. */
function lay<T>(
  it: Loose,
  tags: readonly string[],
  write: (element: Loose, at: number) => void,
  read: (elements: Loose[]) => T,
): T {
  const owner: Document = it.document;
  const elements = tags.map((tag, at) => {
    const element =
      tag === "svg" || tag === "text"
        ? owner.createElementNS("http://www.w3.org/2000/svg", tag)
        : owner.createElement(tag);
    write(element, at);
    return element;
  });
  elements.forEach((element) => element.parentNode ?? owner.body.appendChild(element));
  try {
    return read(elements);
  } finally {
    elements.forEach((element) => element.remove());
  }
}

/** What the browser makes of each value of a property, undefined where it does not know the value. */
function computed(it: Loose, property: "color" | "font", values: string[], read: (style: Loose) => string): Loose {
  return lay(
    it,
    values.map(() => "span"),
    (element, at) => (element.style[property] = values[at]),
    (elements) =>
      Object.fromEntries(
        elements.map((element, at) => [
          values[at],
          element.style[property] ? read(it.getComputedStyle(element)) : undefined,
        ]),
      ),
  );
}

export function describeSystemStyles(signals: Signals, { window: it }: Frame): void {
  const colors = ask(() => computed(it, "color", members("category", "system_color"), (style) => style.color));
  each(signals, "category", "system_color", (name) => colors[name]);
  const fonts = ask(() =>
    computed(it, "font", members("category", "system_font"), (style) =>
      [style.fontStyle, style.fontWeight, style.fontSize, style.fontFamily].join(" "),
    ),
  );
  each(signals, "category", "system_font", (name) => fonts[name]);
}

const SHAPES: readonly [tag: string, style: Record<string, string>, text: string][] = [
  [
    "div",
    {
      position: "absolute",
      width: "100.3px",
      height: "50.7px",
      transform: "rotate(27.3deg) translate(10.1px, 20.2px)",
    },
    "",
  ],
  [
    "div",
    { position: "absolute", width: "100.3px", height: "50.7px", transform: "skew(17.3deg, 5.1deg) scale(1.0137)" },
    "",
  ],
  ["div", { position: "absolute", width: "33.33px", zoom: "1.37" }, ""],
  ["span", { position: "absolute", font: "17.3px serif" }, "Cwm fjordbank glyphs"],
  ["span", { position: "absolute", font: "31.7px sans-serif" }, "\u{1F603}\u{1F468}\u200D\u{1F469}\u200D\u{1F467}"],
  ["svg", {}, ""],
  ["text", {}, "Cwm fjordbank"],
];

export function describeRectangles(signals: Signals, { window: it }: Frame): void {
  const found = ask(() => {
    let svg: Loose;
    return lay(
      it,
      SHAPES.map(([tag]) => tag),
      (element, at) => {
        const [tag, style, text] = SHAPES[at]!;
        Object.assign(element.style, style);
        element.textContent = text;
        if (tag === "svg") svg = element;
        if (tag === "text") svg.appendChild(element);
      },
      (elements) => {
        const range = it.document.createRange();
        range.selectNodeContents(elements[3]);
        const boxes: DOMRect[] = [...elements, range].map((one: Loose) => one.getBoundingClientRect());
        return { boxes, length: ask(() => elements[6].getComputedTextLength()) };
      },
    );
  });
  const box = (at: number, side: "x" | "y" | "width" | "height") => () => found!.boxes[at]![side];
  take(signals, "number", "rectangle", {
    rotated_x: box(0, "x"),
    rotated_y: box(0, "y"),
    rotated_width: box(0, "width"),
    rotated_height: box(0, "height"),
    skewed_width: box(1, "width"),
    skewed_height: box(1, "height"),
    zoomed_width: box(2, "width"),
    inline_width: box(3, "width"),
    inline_height: box(3, "height"),
    range_width: box(7, "width"),
    range_height: box(7, "height"),
    emoji_width: box(4, "width"),
    emoji_height: box(4, "height"),
    svg_width: box(6, "width"),
    svg_height: box(6, "height"),
    svg_text_length: () => found!.length,
  });
}

const SPANS: readonly string[] = Array.from({ length: 150 }, () => "span");

export function describeLayout(signals: Signals, { window: it }: Frame): void {
  take(signals, "boolean", "viewport", {
    scroll_bar_overlay: () =>
      lay(
        it,
        ["div"],
        (element) => Object.assign(element.style, { overflow: "scroll", width: "90px", height: "90px" }),
        ([element]) => element.offsetWidth === element.clientWidth,
      ),
  });
  const spans = (): number =>
    lay(
      it,
      SPANS,
      (element, at) => (element.textContent = `Cwm ${at} `),
      (elements) => elements.reduce((wide, element) => wide + element.offsetWidth, 0),
    );
  take(signals, "number", "clock", { layout_work: () => it && cost(spans) });
}
