"""The environment of a batch: what was parsed and reconciled, and the bits of the checks that failed."""

from __future__ import annotations

import numpy as np

from flows.stages.normalize.fingerprint import fingerprint_of
from flows.stages.normalize.registry import ORDERED
from flows.stages.normalize.seen import Seen
from schemas.batches import F32, U8, U64, Environment
from schemas.environment import DENSITIES

DENSITY_BOUNDS = (0.99, 1.01, 1.99, 2.99)  # of rounded ratios


def environment_of(seen: Seen) -> Environment:
    """Run every check, and return the section."""
    ratio = seen.number("screen.device_pixel_ratio")
    hint = seen.hinted_version
    return Environment(
        browser=seen.browser,
        browser_version=seen.client["version"].copy(),
        engine=seen.evidence.engine,
        engine_version=seen.client["engine_version"].copy(),
        engine_at_least=seen.evidence.at_least,
        system=seen.system,
        system_version=np.where(np.isnan(hint), seen.client["system_version"], hint),
        device=seen.device,
        gpu=seen.gpu,
        gpu_driver=seen.gpu_driver,
        gpu_model=seen.gpu_model,
        screen_pixels_wide=seen.number("screen.width") * ratio,
        screen_pixels_high=seen.number("screen.height") * ratio,
        density=_density(ratio),
        timezone_offset=seen.zone_offset,
        checks=_failed(seen),
        fingerprint=fingerprint_of(seen),
    )


def _failed(seen: Seen) -> U64:
    """Return bit i where check i fails, uint64[n]."""
    failed = np.zeros((64, len(seen)), np.bool_)
    for bit, check in enumerate(ORDERED):
        failed[bit] = check(seen)
    octets = np.packbits(failed, axis=0, bitorder="little")
    return np.ascontiguousarray(octets.T).view("<u8")[:, 0].astype(np.uint64)


def _density(ratio: F32) -> U8:
    """Return the class of device pixels to a CSS pixel."""
    classes = np.digitize(ratio, DENSITY_BOUNDS)
    return np.where(np.isnan(ratio), 0, classes + DENSITIES.index("reduced")).astype(np.uint8)
