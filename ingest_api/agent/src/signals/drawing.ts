/** 2D canvas: known drawings, hashed, drawn twice, and read back. No drawing looks at the page. */

import type { Signals } from "../types";
import { ask, type Loose, type Run, take, within } from "./put";

type Context = CanvasRenderingContext2D;
type Draw = (context: Context) => void;

export const WIDE = 240;
export const HIGH = 60;

/** FNV-1a of bytes in hex. A worker runs it too, so it holds on to nothing around it. */
export const digest = (bytes: ArrayLike<number>): string => {
  let hash = 0x811c9dc5;
  for (let at = 0; at < bytes.length; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return (hash >>> 0).toString(16);
};

/** Latin text in two fonts and transparent colours. A worker and a frame draw it too; as above. */
export const drawText = (context: Loose): void => {
  context.textBaseline = "alphabetic";
  context.fillStyle = "#f60";
  context.fillRect(125, 1, 62, 20);
  context.fillStyle = "#069";
  context.font = "15px no-such-font, serif";
  context.fillText("Cwm fjordbank glyphs vext quiz", 2, 17);
  context.fillStyle = "rgba(102, 204, 0, 0.7)";
  context.font = "22px sans-serif";
  context.fillText("Cwm fjordbank glyphs", 4, 45);
};

/** Circles that are mixed, and the even-odd rule; as above. */
export const drawGeometry = (context: Loose): void => {
  context.globalCompositeOperation = "multiply";
  ["#f0f", "#0ff", "#ff0"].forEach((color, at) => {
    context.fillStyle = color;
    context.beginPath();
    context.arc(30 + 25 * at, 30, 25, 0, 2 * Math.PI, true);
    context.fill();
  });
  context.fillStyle = "#f0f";
  context.beginPath();
  context.arc(150, 30, 28, 0, 2 * Math.PI, true);
  context.arc(150, 30, 10, 0, 2 * Math.PI, true);
  context.fill("evenodd");
};

const letters =
  (font: string, text: string): Draw =>
  (context) => {
    context.font = font;
    context.fillText(text, 2, 40);
  };

const drawEmoji = letters("32px sans-serif", "\u{1F603}\u{1F44D}\u{1F3FD}\u2764\uFE0F\u{1F1EA}\u{1F1FA}");

const PICTURES: Readonly<Record<string, Draw>> = {
  gradient: (context) => {
    const gradient = context.createLinearGradient(0, 0, WIDE, HIGH);
    ["red", "#0f08", "hsl(210 50% 40%)"].forEach((color, at) => gradient.addColorStop(at / 2, color));
    context.fillStyle = gradient;
    context.fillRect(0, 0, WIDE, HIGH);
  },
  shadow: (context) => {
    context.shadowBlur = 7;
    context.shadowColor = "#123";
    context.shadowOffsetX = 3;
    context.fillRect(20, 20, 60, 20);
  },
  blend: (context) => {
    context.fillStyle = "#38c";
    context.fillRect(0, 0, 90, HIGH);
    ["screen", "overlay", "color-burn", "hue", "luminosity"].forEach((mode, at) => {
      context.globalCompositeOperation = mode as GlobalCompositeOperation;
      context.fillStyle = "#c83a";
      context.fillRect(15 * at, 5 * at, 30, 30);
    });
  },
  curves: (context) => {
    context.lineWidth = 1.7;
    context.bezierCurveTo(10, 60, 80, -20, 120, 50);
    context.quadraticCurveTo(200, 0, 235, 55);
    context.ellipse(60, 30, 50, 12.3, 0.7, 0, 5);
    context.stroke();
  },
  text_rtl: letters("24px serif", "\u05E9\u05DC\u05D5\u05DD \u05E2\u05D5\u05DC\u05DD"),
  text_emoji_zwj: letters(
    "24px sans-serif",
    "\u{1F468}\u200D\u{1F469}\u200D\u{1F467}\u{1F3F3}\uFE0F\u200D\u{1F308}\u{1FAE8}",
  ),
  image_data: (context) => {
    context.fillStyle = "rgba(201, 77, 13, 0.37)";
    context.fillRect(0, 0, WIDE, HIGH);
    context.putImageData(context.getImageData(0, 0, 40, 40), 100, 10);
  },
  path: (context) => {
    context.rotate(0.1);
    context.fill(new Path2D("M10 10 h 80 a 20 20 0 0 1 20 20 q 40 30 90 -10 z"));
  },
};

function makeCanvas(owner: Document): HTMLCanvasElement {
  const canvas = owner.createElement("canvas");
  canvas.width = WIDE;
  canvas.height = HIGH;
  return canvas;
}

/** A drawing's pixels; what is to be read back is drawn by the processor, which no graphics driver keeps waiting. */
export function pixels(draw: Draw, owner = document): Uint8ClampedArray {
  const context = makeCanvas(owner).getContext("2d", { willReadFrequently: true })!;
  draw(context);
  return context.getImageData(0, 0, WIDE, HIGH).data;
}

const KNOWN_COLORS = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [17, 34, 51],
  [128, 128, 128],
  [254, 1, 127],
];
const PIXELS_EACH = 16;
const DECODING_MS = 1_000;

/** Opaque pixels of known colours, none of which may come back as another. */
function readbackErrors(): number {
  const data = pixels((context) =>
    KNOWN_COLORS.forEach((color, at) => {
      context.fillStyle = `rgb(${color.join()})`;
      context.fillRect(at * PIXELS_EACH, 0, PIXELS_EACH, 1);
    }),
  );
  let errors = 0;
  for (let x = 0; x < KNOWN_COLORS.length * PIXELS_EACH; x++) {
    const color = KNOWN_COLORS[Math.floor(x / PIXELS_EACH)]!;
    if (color.some((value, channel) => data[4 * x + channel] !== value)) errors++;
  }
  return errors;
}

function pixelDifferences(left: Uint8ClampedArray, right: Uint8ClampedArray): number {
  let different = 0;
  const [here, there] = [left, right].map(({ buffer }) => new Uint32Array(buffer));
  for (let at = 0; at < here!.length; at++) if (here![at] !== there![at]) different++;
  return different;
}

/** Text needs fonts and takes longest, so that each drawing is a task of its own. */
export async function describeCanvas(signals: Signals, run: Run): Promise<void> {
  const drawn: (Uint8ClampedArray | undefined)[] = [];
  let taken = 0;
  for (const draw of [drawText, drawGeometry, drawText, drawGeometry]) {
    drawn.push(
      await run(() => {
        const begun = performance.now();
        const data = pixels(draw);
        taken += performance.now() - begun;
        return data;
      }),
    );
  }
  const [text, geometry, textAgain, geometryAgain] = drawn;
  await run(() => {
    take(signals, "number", "canvas", {
      pixel_differences: () => pixelDifferences(text!, textAgain!) + pixelDifferences(geometry!, geometryAgain!),
      readback_errors: readbackErrors,
      draw_time: () => (text ? taken : undefined),
    });
    take(signals, "boolean", "canvas", {
      supported: () => text !== undefined,
      winding: () => {
        const context = makeCanvas(document).getContext("2d")!;
        context.rect(0, 0, 10, 10);
        context.rect(2, 2, 6, 6);
        return !context.isPointInPath(5, 5, "evenodd");
      },
      cleared: () => text!.every((value) => value === text![0]),
      to_blob: () => "toBlob" in HTMLCanvasElement.prototype,
    });
    take(signals, "category", "canvas", { text: () => digest(text!), geometry: () => digest(geometry!) });
  });
}

export function describeEmoji(signals: Signals): void {
  take(signals, "category", "canvas", { emoji: () => digest(pixels(drawEmoji)) });
}

/** One task each: a picture may need a font that is not loaded yet. */
export const pictures: readonly ((signals: Signals) => void)[] = Object.entries(PICTURES).map(
  ([name, draw]) =>
    (signals) =>
      take(signals, "category", "picture", { [name]: () => digest(pixels(draw)) }),
);

function encoded(type: string): string | undefined {
  const canvas = makeCanvas(document);
  drawGeometry(canvas.getContext("2d", { willReadFrequently: true })!);
  const url = canvas.toDataURL(`image/${type}`, 0.5);
  return url.startsWith(`data:image/${type}`) ? url : undefined;
}

/** Whether the drawing of text comes back the same through `toDataURL`, which many spoofers change alone. */
export function textUrl(): string {
  const canvas = makeCanvas(document);
  drawText(canvas.getContext("2d", { willReadFrequently: true })!);
  return canvas.toDataURL();
}

export function describeEncoders(signals: Signals): void {
  const [jpeg, webp] = ["jpeg", "webp"].map((type) => ask(() => encoded(type)));
  take(signals, "category", "picture", { jpeg: () => jpeg, webp: () => webp });
  take(signals, "boolean", "picture", {
    jpeg_supported: () => !!jpeg,
    webp_supported: () => !!webp,
    filter_supported: () => "filter" in CanvasRenderingContext2D.prototype,
    conic_gradient_supported: () => "createConicGradient" in CanvasRenderingContext2D.prototype,
    round_rectangle_supported: () => "roundRect" in CanvasRenderingContext2D.prototype,
    color_space_p3: () => {
      const context = makeCanvas(document).getContext("2d", { colorSpace: "display-p3" }) as Loose;
      return context.getContextAttributes().colorSpace === "display-p3";
    },
  });
}

export function describeOffscreen(signals: Signals): void {
  const data = ask(() => {
    const context = new OffscreenCanvas(WIDE, HIGH).getContext("2d", { willReadFrequently: true })!;
    drawGeometry(context);
    return context.getImageData(0, 0, WIDE, HIGH).data;
  });
  take(signals, "category", "picture", { offscreen: () => digest(data!) });
  take(signals, "boolean", "picture", {
    offscreen_equal: () => pixelDifferences(data!, pixels(drawGeometry)) === 0,
  });
}

/** Told without a picture: a policy of the page may forbid those that come from no address. */
export async function describeDecoders(signals: Signals): Promise<void> {
  const supported = await within(DECODING_MS, () => (globalThis as Loose).ImageDecoder.isTypeSupported("image/avif"));
  take(signals, "boolean", "picture", { avif_supported: () => supported as boolean });
}
