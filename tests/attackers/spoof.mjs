// What people paste into "evaluateOnNewDocument": scripts that make a page say another browser than it is.

/** Says it is Chrome on Windows with a card of NVIDIA's, and no WebDriver. */
export function spoofEverything() {
  const define = (object, name, value) => Object.defineProperty(object, name, { get: () => value, configurable: true });
  define(navigator, "webdriver", undefined);
  define(navigator, "platform", "Win32");
  define(navigator, "languages", ["en-US", "en"]);
  define(navigator, "hardwareConcurrency", 8);
  define(navigator, "deviceMemory", 8);
  define(
    navigator,
    "userAgent",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36",
  );
  for (const kind of [globalThis.WebGLRenderingContext, globalThis.WebGL2RenderingContext]) {
    if (!kind) continue;
    const original = kind.prototype.getParameter;
    kind.prototype.getParameter = function getParameter(name) {
      if (name === 37445) return "Google Inc. (NVIDIA)";
      if (name === 37446) return "ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 (0x00002504) Direct3D11 vs_5_0 ps_5_0, D3D11)";
      return original.call(this, name);
    };
  }
}

/** The shortest script of all: only the WebDriver flag is hidden, on the prototype. */
export function hideWebdriver() {
  Object.defineProperty(Navigator.prototype, "webdriver", { get: () => false, configurable: true });
}
