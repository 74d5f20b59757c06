"""Known values: each is computed again, marks are in order, and honest machines are none of them."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import apify_fingerprint_datapoints as datapoints
import numpy as np
import pytest

from enrichers.known_values import (
    ONE_COLOUR_PICTURES,
    RENDERER_CLASSES,
    RENDERERS,
    SILENCE,
    impossible_sum,
    known_sum,
    one_colour,
    renderer_class,
    silent,
)
from schemas.catalogue import category_hash

CAPTURES = Path(__file__).parents[1] / "captures"


def digest(data: bytes) -> str:
    """Return what the agent's `digest` returns: FNV-1a in hex without leading zeros."""
    state = 0x811C9DC5
    for byte in data:
        state = ((state ^ byte) * 0x01000193) & 0xFFFFFFFF
    return format(state, "x")


def kind(renderer: str) -> str:
    return RENDERER_CLASSES[renderer_class(renderer.encode())]


@pytest.mark.parametrize(
    ("renderer", "said"),
    [
        ("ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero) (0x0000C0DE)), SwiftShader driver)", "software"),
        ("ANGLE (Mesa, llvmpipe (LLVM 15.0.7, 256 bits), OpenGL 4.5)", "software"),
        ("llvmpipe on VMware, Inc. SVGA3D", "software"),
        ("ANGLE (VMware, VMware SVGA 3D (0x00000405) Direct3D11 vs_5_0 ps_5_0, D3D11)", "machine"),
        ("ANGLE (Apple, ANGLE Metal Renderer: Apple Paravirtual device, Unspecified Version)", "machine"),
        ("ANGLE (0x05404C42, Parallels Display Adapter (WDDM) (0x00000000) Direct3D11 vs_5_0 ps_5_0)", "machine"),
        ("Android Emulator OpenGL ES Translator (Google SwiftShader)", "emulator"),
        ("ANGLE (Microsoft, Microsoft Basic Render Driver (0x0000008C) Direct3D11 vs_5_0 ps_5_0, D3D11)", "basic"),
        ("ANGLE (NVIDIA, NVIDIA GRID T4-2Q Direct3D11 vs_5_0 ps_5_0, D3D11)", "cloud"),
        ("ANGLE (NVIDIA, Tesla T4/PCIe/SSE2, OpenGL 4.5)", "cloud"),
        ("Microsoft Remote Display Adapter", "remote"),
        ("ANGLE (Apple, ANGLE Metal Renderer: Apple M2, Unspecified Version)", "hardware"),
        ("ANGLE (Intel, Mesa Intel(R) UHD Graphics 620 (KBL GT2), OpenGL 4.6)", "hardware"),
        ("", "hardware"),
    ],
)
def test_a_renderer_string_says_what_draws(renderer: str, said: str) -> None:
    assert kind(renderer) == said
    assert RENDERER_CLASSES[renderer_class(None)] == "hardware"


def test_of_the_real_population_only_named_virtual_renderers_are_found() -> None:
    archive = zipfile.ZipFile(Path(datapoints.__file__).parent / "data" / "fingerprint-network-definition.zip")
    nodes = json.loads(archive.read(archive.namelist()[0]))["nodes"]
    (cards,) = (node["possibleValues"] for node in nodes if node["name"] == "videoCard")
    shown = {str(json.loads(card.removeprefix("*STRINGIFIED*")).get("renderer")) for card in cards if "{" in card}
    found = {renderer: kind(renderer) for renderer in shown if kind(renderer) != "hardware"}
    virtual = re.compile("swiftshader|llvmpipe|basic render|parallels|paravirtual|android emulator", re.IGNORECASE)
    assert len(shown) > 700
    assert all(virtual.search(renderer) for renderer in found)
    assert {"software", "basic", "machine", "emulator"} == set(found.values())


def test_marks_are_lower_case_sourced_and_each_can_be_reached() -> None:
    for at, one in enumerate(RENDERERS):
        assert one.mark == one.mark.lower()
        assert one.source
        assert one.product
        assert one.kind in RENDERER_CLASSES[1:]
        assert not any(before.mark in one.mark for before in RENDERERS[:at])


def test_pictures_of_one_colour_are_computed_again() -> None:
    made = {digest(pixel * size) for pixel in (b"\0\0\0\0", b"\0\0\0\xff", b"\xff" * 4) for size in (240 * 60, 48 * 48)}
    assert {*made, digest(b"")} == set(ONE_COLOUR_PICTURES)
    assert digest(bytes(4 * 5_000)) == SILENCE


def test_one_colour_and_silence_are_found_in_columns() -> None:
    pictures = np.array([0, category_hash("ee2f51c5"), category_hash("82979a34")], np.uint32)
    assert one_colour(pictures).tolist() == [False, True, False]
    sounds = np.array([0, category_hash(SILENCE), category_hash("811c9dc5"), category_hash("1")], np.uint32)
    assert silent(sounds).tolist() == [False, True, True, False]


@pytest.mark.parametrize("total", [124.04347527516074, 124.0434777, 124.08072766, 35.7383295, 35.7499721, 35.108932])
def test_sums_that_engines_give_are_known_and_possible(total: float) -> None:
    column = np.array([total, total * 1.00008, total * 0.991, np.nan], np.float32)
    assert known_sum(column).tolist()[0]
    assert not impossible_sum(column).any()
    assert not known_sum(column)[3]


@pytest.mark.parametrize("total", [0.0, 1.0, 80.25, 34.0, 200.0, -124.0435, 3.4e38, float("inf")])
def test_sums_that_no_engine_gives_are_impossible(total: float) -> None:
    column = np.array([total], np.float32)
    assert impossible_sum(column).all()
    assert not known_sum(column).any()


def test_recorded_browsers_are_none_of_these() -> None:
    for path in sorted(CAPTURES.glob("*.json")):
        signals = json.loads(path.read_text("utf-8"))
        flat = signals.get("signals", signals)
        total = np.array([flat.get("audio.sample_sum", np.nan)], np.float32)
        pictures = [flat[f"canvas.{name}"] for name in ("text", "geometry") if flat.get(f"canvas.{name}")]
        assert pictures, path.name
        assert not impossible_sum(total).any(), path.name
        assert not set(pictures) & set(ONE_COLOUR_PICTURES), path.name
