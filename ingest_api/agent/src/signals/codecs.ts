/** Codecs, devices, voices and what WebRTC would offer. Nothing is played, opened or connected. */

import type { Signals } from "../types";
import { ask, each, type Loose, reach, scope, take, within } from "./put";

const DEVICES_MS = 2_000;
const VOICES_MS = 700;
const DRM_MS = 1_500;

/** By the catalogue's short names. */
const TYPES: Readonly<Record<string, string>> = {
  h264_baseline: 'video/mp4; codecs="avc1.42E01E"',
  h264_high: 'video/mp4; codecs="avc1.640028"',
  hevc_main: 'video/mp4; codecs="hvc1.1.6.L93.B0"',
  hevc_main10: 'video/mp4; codecs="hvc1.2.4.L120.B0"',
  av1_main: 'video/mp4; codecs="av01.0.05M.08"',
  av1_10bit: 'video/mp4; codecs="av01.0.05M.10"',
  vp8: 'video/webm; codecs="vp8"',
  vp9: 'video/webm; codecs="vp9"',
  vp9_profile2: 'video/webm; codecs="vp09.02.10.10"',
  theora: 'video/ogg; codecs="theora"',
  dolby_vision: 'video/mp4; codecs="dvh1.05.06"',
  aac_lc: 'audio/mp4; codecs="mp4a.40.2"',
  aac_he: 'audio/mp4; codecs="mp4a.40.5"',
  mp3: "audio/mpeg",
  opus: 'audio/webm; codecs="opus"',
  opus_mp4: 'audio/mp4; codecs="opus"',
  vorbis: 'audio/ogg; codecs="vorbis"',
  flac: "audio/flac",
  flac_mp4: 'audio/mp4; codecs="flac"',
  alac: 'audio/mp4; codecs="alac"',
  wav: 'audio/wav; codecs="1"',
  ac3: 'audio/mp4; codecs="ac-3"',
  eac3: 'audio/mp4; codecs="ec-3"',
  matroska: 'video/x-matroska; codecs="avc1.42E01E"',
  hls: "application/vnd.apple.mpegurl",
  three_gpp: 'video/3gpp; codecs="mp4v.20.8"',
  quicktime: "video/quicktime",
  amr: 'audio/3gpp; codecs="samr"',
};

/** `media.codec_*` by the same names. */
const CODECS =
  "h264:h264_baseline hevc:hevc_main av1:av1_main vp8:vp8 vp9:vp9 theora:theora aac:aac_lc mp3:mp3 opus:opus" +
  " vorbis:vorbis flac:flac wav:wav";

export function describeCodecs(signals: Signals): void {
  const video = ask(() => document.createElement("video"));
  const plays = (name: string): boolean => video!.canPlayType(TYPES[name]!) !== "";
  each(signals, "boolean", "can_play", plays);
  for (const entry of CODECS.split(" ")) {
    const [name, type] = entry.split(":");
    take(signals, "boolean", "media", { [`codec_${name}`]: () => plays(type!) });
  }
  take(signals, "boolean", "media", { webrtc: () => reach(scope, "RTCPeerConnection") });
}

export function describeSources(signals: Signals): void {
  const source: Loose = scope.MediaSource ?? scope.ManagedMediaSource;
  each(signals, "boolean", "media_source", (name) => source.isTypeSupported(TYPES[name]!));
  each(signals, "boolean", "recorder", (name) => scope.MediaRecorder.isTypeSupported(TYPES[name]!));
}

/** What an element and a source say of each type of sound or picture, in the browser's own words. */
export function answersOf(kind: "audio" | "video"): string {
  const element = document.createElement(kind);
  return Object.values(TYPES)
    .filter((type) => type.startsWith(kind))
    .map((type) => element.canPlayType(type) + ask(() => scope.MediaSource.isTypeSupported(type)))
    .join();
}

/** One task each for sound and picture: the first question makes the browser load its codecs. */
export const describeOffers = (["audio", "video"] as const).map((kind) => (signals: Signals): void => {
  const offer: Loose = ask(() => scope.RTCRtpReceiver.getCapabilities(kind));
  const codec = (one: Loose): string => [one.mimeType, one.clockRate, one.channels, one.sdpFmtpLine].join(" ");
  take(signals, "number", "rtc", {
    [`${kind}_codecs_count`]: () => offer.codecs.length,
    [`${kind}_extensions_count`]: () => offer.headerExtensions.length,
  });
  take(signals, "category", "rtc", {
    [`${kind}_codecs`]: () => offer.codecs.map(codec).join(),
    [`${kind}_extensions`]: () => offer.headerExtensions.map(({ uri }: Loose) => uri).join(),
  });
});

export async function describeDevices(signals: Signals): Promise<void> {
  const devices = await within(DEVICES_MS, () => navigator.mediaDevices.enumerateDevices());
  const count = (wanted: MediaDeviceKind) => () => devices!.filter(({ kind }) => kind === wanted).length;
  take(signals, "number", "media", {
    audio_inputs: count("audioinput"),
    audio_outputs: count("audiooutput"),
    video_inputs: count("videoinput"),
  });
}

/** Firefox and Brave ask the person before they load such a module, so only other Chromium is asked. */
export async function describeDrm(signals: Signals): Promise<void> {
  const silent = reach(scope, "navigator.userAgentData") && !reach(scope, "navigator.brave");
  const answer = silent
    ? await within(DRM_MS, () =>
        navigator
          .requestMediaKeySystemAccess("com.widevine.alpha", [
            {
              initDataTypes: ["cenc"],
              videoCapabilities: [{ contentType: TYPES.vp9!, robustness: "SW_SECURE_CRYPTO" }],
            },
          ])
          .then(
            () => true,
            () => false,
          ),
      )
    : undefined;
  take(signals, "boolean", "media", { drm_widevine: () => answer });
}

export async function describeVoices(signals: Signals): Promise<void> {
  const voices = await within(2 * VOICES_MS, spokenVoices);
  const count = (local: boolean) => () => voices!.filter(({ localService }) => localService === local).length;
  take(signals, "number", "media", { voices_count: () => voices!.length });
  take(signals, "number", "voice", {
    local_count: count(true),
    remote_count: count(false),
    languages_count: () => new Set(voices!.map(({ lang }) => lang)).size,
  });
  take(signals, "category", "voice", {
    default: () => voices!.find((voice) => voice.default)?.name,
    list: () => voices!.map(({ voiceURI, lang }) => `${voiceURI} ${lang}`).join(),
  });
}

/** Voices come late; a browser without any never says that it is done. */
async function spokenVoices(): Promise<SpeechSynthesisVoice[]> {
  const synthesis = speechSynthesis;
  if (!synthesis.getVoices().length) {
    await within(
      VOICES_MS,
      () => new Promise((resolve) => synthesis.addEventListener("voiceschanged", resolve, { once: true })),
    );
  }
  return synthesis.getVoices();
}
