/** WebGL 1 and 2: parameters, extensions, precisions and a small scene; and the WebGPU adapter. */

import type { Signals } from "../types";
import { digest } from "./drawing";
import { ask, each, type Loose, type Run, scope, take, within } from "./put";

const ADAPTER_MS = 1_000;
const SIDE = 48;

/** `max_render_buffer_size` as `MAX_RENDERBUFFER_SIZE`. A worker does it too; it holds on to nothing around it. */
export const constant = (name: string): string =>
  name.toUpperCase().replace("RENDER_B", "RENDERB").replace("TEXTURE_UNITS", "TEXTURE_IMAGE_UNITS");

/** Vendor and renderer as the driver gives them. A worker and a frame ask too, so it holds on to nothing around it. */
export const graphicsNames = (gl: Loose): [string, string] => {
  const vendor: string = gl.getParameter(gl.VENDOR);
  const renderer: string = gl.getParameter(gl.RENDERER);
  // Firefox gives the renderer as it is, and complains in the console where the extension is asked for.
  const extension = vendor === "Mozilla" ? null : gl.getExtension("WEBGL_debug_renderer_info");
  return extension ? [gl.getParameter(37445), gl.getParameter(37446)] : [vendor, renderer];
};

/** A triangle in colours, drawn but not waited for; as above. */
export const drawScene = (gl: Loose): void => {
  const program = gl.createProgram();
  const attach = (kind: number, source: string): void => {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  };
  attach(gl.VERTEX_SHADER, "attribute vec2 p;varying vec2 c;void main(){c=p;gl_Position=vec4(p,0.,1.);}");
  attach(
    gl.FRAGMENT_SHADER,
    "precision mediump float;varying vec2 c;void main(){gl_FragColor=vec4(sin(c.x*9.),cos(c.y*7.),c.x*c.y+.5,.8);}",
  );
  gl.linkProgram(program);
  gl.useProgram(program);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-0.9, -0.8, 0.95, -0.3, 0.1, 0.9]), gl.STATIC_DRAW);
  const place = gl.getAttribLocation(program, "p");
  gl.enableVertexAttribArray(place);
  gl.vertexAttribPointer(place, 2, gl.FLOAT, false, 0, 0);
  gl.drawArrays(gl.TRIANGLES, 0, 3);
  gl.flush();
};

/**
 * The scene's bytes, of a WebGL 2 context. They are taken only once the graphics process is done: reading at once would
 * hold the page, and Chromium would complain in the console; as above.
 */
export const readScene = async (gl: Loose): Promise<Uint8Array> => {
  const [wide, high] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
  const bytes = new Uint8Array(4 * wide * high);
  gl.bindBuffer(gl.PIXEL_PACK_BUFFER, gl.createBuffer());
  gl.bufferData(gl.PIXEL_PACK_BUFFER, bytes.length, gl.STREAM_READ);
  gl.readPixels(0, 0, wide, high, gl.RGBA, gl.UNSIGNED_BYTE, 0);
  const drawn = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
  gl.flush();
  for (let looks = 0; gl.getSyncParameter(drawn, gl.SYNC_STATUS) !== gl.SIGNALED; looks++) {
    if (looks > 50) throw new Error("not drawn in time");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  gl.getBufferSubData(gl.PIXEL_PACK_BUFFER, 0, bytes);
  return bytes;
};

/** A context of the page's own, undefined where there is none. */
export function open(kind: "webgl" | "webgl2", owner: Document = document, more?: object): Loose {
  const canvas = owner.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  return ask(() => canvas.getContext(kind, { preserveDrawingBuffer: true, ...more })) ?? undefined;
}

/** Frees the context at once: a page may have few, and the browser takes away the oldest. */
export function close(gl: Loose): void {
  ask(() => gl?.getExtension("WEBGL_lose_context").loseContext());
}

/** A parameter as one number: of a pair the second value. */
function parameter(gl: Loose, name: string): number | undefined {
  if (!(name in gl)) return undefined;
  const value = gl.getParameter(gl[name]);
  if (typeof value === "number") return value;
  return typeof value === "boolean" ? Number(value) : value?.[1];
}

export function describeWebgl(signals: Signals, gl: Loose): void {
  const extensions: string[] = ask(() => gl.getSupportedExtensions()) ?? [];
  const own: Readonly<Record<string, () => number | undefined>> = {
    max_viewport_width: () => gl.getParameter(gl.MAX_VIEWPORT_DIMS)[0],
    max_viewport_height: () => parameter(gl, "MAX_VIEWPORT_DIMS"),
    aliased_line_width_max: () => parameter(gl, "ALIASED_LINE_WIDTH_RANGE"),
    aliased_point_size_max: () => parameter(gl, "ALIASED_POINT_SIZE_RANGE"),
    max_anisotropy: () =>
      gl.getParameter(gl.getExtension("EXT_texture_filter_anisotropic").MAX_TEXTURE_MAX_ANISOTROPY_EXT),
    extensions_count: () => (gl ? extensions.length : undefined),
  };
  each(signals, "number", "webgl", (name) => own[name]?.() ?? parameter(gl, constant(name)));
  take(signals, "boolean", "webgl", {
    supported: () => !!gl,
    antialias: () => gl.getContextAttributes().antialias,
    debug_renderer_info: () => (gl ? extensions.includes("WEBGL_debug_renderer_info") : undefined),
  });
  const [vendor, renderer] = ask(() => graphicsNames(gl)) ?? [];
  const all: string[] = [];
  each(signals, "number", "webgl_parameter", (name) => {
    const value = parameter(gl, name);
    all.push(`${name}=${value}`);
    return value;
  });
  take(signals, "category", "webgl", {
    vendor: () => vendor,
    renderer: () => renderer,
    version: () => gl.getParameter(gl.VERSION),
    shading_language: () => gl.getParameter(gl.SHADING_LANGUAGE_VERSION),
    extensions: () => (gl ? extensions.join() : undefined),
    parameters: () => (gl ? all.join() : undefined),
  });
  take(signals, "text", "webgl", { unmasked_vendor: () => vendor, unmasked_renderer: () => renderer });
  each(signals, "boolean", "webgl_extension", (name) => (gl ? extensions.includes(name) : undefined));
}

export function describePrecision(signals: Signals, gl: Loose): void {
  each(signals, "number", "webgl_precision", (name) => {
    const [stage, level, type, range] = name.toUpperCase().split("_");
    const found = gl.getShaderPrecisionFormat(gl[`${stage}_SHADER`], gl[`${level}_${type}`]);
    return range ? found.rangeMax : found.precision;
  });
}

export async function describeScene(signals: Signals, gl: Loose, run: Run): Promise<void> {
  await run(() => drawScene(gl));
  const bytes = await run(() => readScene(gl));
  await run(() => take(signals, "category", "webgl", { image: () => digest(bytes!) }));
}

export function describeWebgl2(signals: Signals, gl: Loose): void {
  const extensions: string[] = ask(() => gl.getSupportedExtensions()) ?? [];
  take(signals, "boolean", "webgl", { supported_2: () => !!gl });
  take(signals, "number", "webgl", { max_samples: () => parameter(gl, "MAX_SAMPLES") });
  each(signals, "boolean", "webgl2_extension", (name) => (gl ? extensions.includes(name) : undefined));
  each(signals, "number", "webgl2_parameter", (name) => parameter(gl, name));
}

/** A context is refused where it would be drawn by the processor, though an ordinary one is given. */
export function describeFallback(signals: Signals, supported: boolean): void {
  const fast = supported ? open("webgl", document, { failIfMajorPerformanceCaveat: true }) : undefined;
  take(signals, "boolean", "webgl", { software_fallback: () => (supported ? !fast : undefined) });
  close(fast);
}

/** Returns the adapter's vendor. */
export async function describeAdapter(signals: Signals): Promise<string | undefined> {
  const gpu: Loose = scope.navigator?.gpu;
  const adapter: Loose = gpu && (await within(ADAPTER_MS, () => gpu.requestAdapter()));
  const info: Loose = adapter?.info;
  each(signals, "number", "webgpu", (name) =>
    name === "features_count" ? adapter.features.size : adapter.limits[name],
  );
  take(signals, "boolean", "webgpu", {
    supported: () => !!adapter,
    fallback: () => adapter.isFallbackAdapter ?? info.isFallbackAdapter,
  });
  take(signals, "category", "webgpu", {
    vendor: () => info.vendor,
    architecture: () => info.architecture,
    description: () => info.description,
  });
  return info?.vendor;
}
