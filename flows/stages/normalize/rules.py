"""Rules over booleans and numbers of one kind, in one pass: what excludes, what implies, and what a standard fixes."""

from __future__ import annotations

import numpy as np

from schemas.batches import Bool, Signals
from schemas.catalogue import Catalogue

# Of each pair exactly one holds.
ALTERNATIVES = (
    ("media_query.prefers-color-scheme_light", "media_query.prefers-color-scheme_dark"),
    ("media_query.orientation_portrait", "media_query.orientation_landscape"),
)
# Where the first holds, so does the second.
IMPLICATIONS = (
    ("css.hover", "css.any_hover"), ("css.pointer_fine", "css.any_pointer_fine"),
    ("css.pointer_coarse", "css.any_pointer_coarse"), ("css.gamut_p3", "css.gamut_srgb"),
    ("css.gamut_rec2020", "css.gamut_p3"),
)  # fmt: skip
# Initial values that the Web Audio standard fixes (AnalyserNode, DynamicsCompressorNode).
DEFAULTS = {
    "sound.analyser_fft_size": 2048, "sound.analyser_min_decibels": -100, "sound.analyser_max_decibels": -30,
    "sound.compressor_threshold": -24, "sound.compressor_knee": 30, "sound.compressor_ratio": 12,
    "sound.compressor_attack": 0.003, "sound.compressor_release": 0.25,
}  # fmt: skip
CLOSE = 1e-4


class Rules:
    """The rules in the wire positions of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._one, self._other = np.array([[*map(catalogue.boolean, pair)] for pair in ALTERNATIVES]).T
        self._narrow, self._wide = np.array([[*map(catalogue.boolean, pair)] for pair in IMPLICATIONS]).T
        self._defaults = np.array([*map(catalogue.number, DEFAULTS)])
        self._values = np.array([*DEFAULTS.values()], np.float32)

    def broken(self, signals: Signals) -> dict[str, Bool]:
        """Return where a rule is broken, bool[n] by the check that it belongs to."""
        known, true = signals.known, signals.booleans
        same = known[:, self._one] & known[:, self._other] & (true[:, self._one] == true[:, self._other])
        without = true[:, self._narrow] & known[:, self._wide] & ~true[:, self._wide]
        altered = np.abs(signals.numbers[:, self._defaults] - self._values) > CLOSE
        return {
            "media_queries_contradict_each_other": same.any(axis=1) | without.any(axis=1),
            "audio_impossible": altered.any(axis=1),
        }
