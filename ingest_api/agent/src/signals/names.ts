/** Which interfaces and names the page finds, how many names its objects have, and whether they are native. */

import type { Signals } from "../types";
import { each, type Loose, reach, scope, take } from "./put";

/** `signal:path` from window on; several paths are alternatives. */
const API =
  "chrome:chrome chrome_runtime:chrome.runtime chrome_app:chrome.app safari:safari opr:opr brave:navigator.brave" +
  " mozilla_inner_screen:mozInnerScreenX apple_pay_session:ApplePaySession payment_request:PaymentRequest" +
  " bluetooth:navigator.bluetooth usb:navigator.usb serial:navigator.serial hid:navigator.hid" +
  " wake_lock:navigator.wakeLock web_share:navigator.share web_gpu:navigator.gpu web_authn:PublicKeyCredential" +
  " eye_dropper:EyeDropper file_system_access:showOpenFilePicker shared_array_buffer:SharedArrayBuffer" +
  " shared_worker:SharedWorker service_worker:navigator.serviceWorker push_manager:PushManager" +
  " notification:Notification speech_synthesis:speechSynthesis" +
  " speech_recognition:SpeechRecognition:webkitSpeechRecognition gamepads:navigator.getGamepads" +
  " midi:navigator.requestMIDIAccess xr:navigator.xr contact_picker:navigator.contacts idle_detector:IdleDetector" +
  " keyboard:navigator.keyboard media_session:navigator.mediaSession presentation:navigator.presentation" +
  " credential_management:navigator.credentials offscreen_canvas:OffscreenCanvas battery:navigator.getBattery" +
  " device_motion:DeviceMotionEvent device_orientation:DeviceOrientationEvent" +
  " network_information:navigator.connection visual_viewport:visualViewport" +
  " storage_foundation:storageFoundation launch_queue:launchQueue barcode_detector:BarcodeDetector" +
  " trusted_types:trustedTypes webkit_file_system:webkitRequestFileSystem open_database:openDatabase" +
  " active_x:ActiveXObject buffer_node:AudioBufferSourceNode process_node:ScriptProcessorNode";

export function describeInterfaces(signals: Signals): void {
  each(signals, "boolean", "interface", (name) => name in scope);
  each(signals, "boolean", "window_member", (name) => name in scope);
  each(signals, "boolean", "navigator_member", (name) => name in navigator);
}

export function describeApi(signals: Signals): void {
  for (const entry of API.split(" ")) {
    const [name, ...paths] = entry.split(":");
    take(signals, "boolean", "api", { [name!]: () => paths.some((path) => reach(scope, path)) });
  }
  // The interface is everywhere; only a touch screen adds the handler.
  take(signals, "boolean", "api", { touch_event: () => "ontouchstart" in window });
}

/** `signal:path` from window on, of an object whose own names are counted. */
const COUNTED =
  "window:window document:document navigator_prototype:Navigator.prototype element_prototype:Element.prototype" +
  " math:Math webgl_prototype:WebGLRenderingContext.prototype webgl2_prototype:WebGL2RenderingContext.prototype" +
  " array_prototype:Array.prototype string_prototype:String.prototype object:Object console:console" +
  " keyboard_event_prototype:KeyboardEvent.prototype";
const KNOWN =
  "calendars:calendar collations:collation currencies:currency numbering_systems:numberingSystem" +
  " time_zones:timeZone units:unit";

const pairs = (table: string): string[][] => table.split(" ").map((entry) => entry.split(":"));

export function describeCounts(signals: Signals): void {
  take(signals, "number", "count", { computed_style: () => getComputedStyle(document.documentElement).length });
  for (const [name, path] of pairs(COUNTED)) {
    const find = (): Loose => path!.split(".").reduce((at: Loose, part) => at[part], scope);
    take(signals, "number", "count", { [name!]: () => Object.getOwnPropertyNames(find()).length });
  }
}

/** One task each: the first question makes the engine load its tables. */
export const supported = pairs(KNOWN).map(
  ([name, key]) =>
    (signals: Signals): void =>
      take(signals, "number", "count", { [`supported_${name}`]: () => (Intl as Loose).supportedValuesOf(key).length }),
);
