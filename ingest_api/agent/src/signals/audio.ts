/** Sound that is rendered offline and never heard, and the properties of the audio context and its nodes. */

import type { Signals } from "../types";
import { digest } from "./drawing";
import { ask, camel, each, type Loose, reach, type Run, scope, take, within } from "./put";

const RENDERING_MS = 1_500;
const RATE = 44_100;
const SAMPLES = 5_000;
/** The compressor has settled from here on. */
const SETTLED = 4_500;

type Build = (context: OfflineAudioContext, tone: OscillatorNode) => AudioNode;

/** A triangle wave of 10 kHz through the usual compressor: the recipe whose sums are known for every engine. */
const compressed: Build = (context, tone) => {
  const compressor = context.createDynamicsCompressor();
  compressor.threshold.value = -50;
  compressor.knee.value = 40;
  compressor.ratio.value = 12;
  compressor.attack.value = 0;
  compressor.release.value = 0.25;
  return tone.connect(compressor);
};
const filtered: Build = (context, tone) => {
  const filter = context.createBiquadFilter();
  filter.frequency.value = 3_000;
  filter.Q.value = 5;
  return tone.connect(filter);
};

function offline(): OfflineAudioContext {
  return new (scope.OfflineAudioContext ?? scope.webkitOfflineAudioContext)(1, SAMPLES, RATE);
}

function render(build: Build): Promise<Float32Array | undefined> {
  return within(RENDERING_MS, () => {
    const context = offline();
    const tone = context.createOscillator();
    tone.type = "triangle";
    tone.frequency.value = 10_000;
    build(context, tone).connect(context.destination);
    tone.start(0);
    return context.startRendering().then((buffer) => buffer.getChannelData(0));
  });
}

const sum = (samples: Float32Array): number => samples.subarray(SETTLED).reduce((all, one) => all + Math.abs(one), 0);

/** Making a context takes long in some browsers, so that each has a task of its own. */
export async function describeSound(signals: Signals, run: Run): Promise<void> {
  const [first, second] = await Promise.all([run(() => render(compressed)), run(() => render(compressed))]);
  take(signals, "boolean", "audio", { supported: () => reach(scope, "OfflineAudioContext") });
  take(signals, "number", "audio", {
    sample_sum: () => sum(first!),
    noise: () => first!.reduce((all, one, at) => all + Math.abs(one - second![at]!), 0),
  });
  take(signals, "category", "sound", {
    noise_hash: () => digest(new Uint8Array(first!.buffer, first!.byteOffset, first!.byteLength)),
  });
}

export async function describeFilters(signals: Signals, run: Run): Promise<void> {
  const [biquad, triangle] = await Promise.all([run(() => render(filtered)), run(() => render((_, tone) => tone))]);
  take(signals, "number", "sound", { biquad_sum: () => sum(biquad!), triangle_sum: () => sum(triangle!) });
}

export function describeNodes(signals: Signals): void {
  const context: Loose = ask(offline);
  const nodes: Record<string, () => Loose> = {
    analyser: () => context.createAnalyser(),
    compressor: () => context.createDynamicsCompressor(),
    listener: () => context.listener,
    oscillator: () => ({ maxFrequency: context.createOscillator().frequency.maxValue }),
  };
  // `analyser_fft_size` is the analyser's `fftSize`; some are parameters with a value.
  each(signals, "number", "sound", (name) => {
    const [node, ...words] = name.split("_");
    const found = nodes[node!]!()[camel(words.join("_"))];
    return found.value ?? found;
  });
  take(signals, "category", "sound", { channel_interpretation: () => context.destination.channelInterpretation });
}

/**
 * What only a context for the loudspeakers knows; it is closed at once, and nothing is played. Listing the devices
 * before starts the browser's audio process, for which the page would stand still otherwise.
 */
export async function describeOutput(signals: Signals, run: Run): Promise<void> {
  await within(RENDERING_MS, () => navigator.mediaDevices.enumerateDevices());
  await run(() => {
    const context: Loose = ask(() => new (scope.AudioContext ?? scope.webkitAudioContext)());
    take(signals, "number", "audio", {
      sample_rate: () => context.sampleRate,
      base_latency: () => context.baseLatency,
      max_channels: () => context.destination.maxChannelCount,
    });
    take(signals, "number", "sound", {
      output_latency: () => context.outputLatency,
      destination_channels: () => context.destination.channelCount,
      destination_inputs: () => context.destination.numberOfInputs,
    });
    take(signals, "number", "fingerprint", { audio_base_latency: () => context.baseLatency });
    take(signals, "category", "sound", { state: () => context.state });
    ask(() => context.close());
  });
}

/**
 * Chromium and Firefox warn in the console where a page opens the loudspeakers before anybody touched it: there this
 * waits for the first touch, however late it comes.
 */
export function onceAllowed(task: () => void): void {
  const activation: Loose = ask(() => scope.navigator.userActivation);
  if (!activation || activation.hasBeenActive) {
    task();
    return;
  }
  const gestures = ["pointerup", "keydown"];
  const listen = (event: Event): void => {
    if (!event.isTrusted || !activation.hasBeenActive) return;
    for (const gesture of gestures) removeEventListener(gesture, listen, true);
    task();
  };
  for (const gesture of gestures) addEventListener(gesture, listen, { capture: true, passive: true });
}
