"""The fingerprint: one browser has the same at each visit, other machines others; none where little is known."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.stages.decode import Decode
from flows.stages.normalize import Normalize
from flows.stages.normalize.fingerprint import PARTS
from flows.stages.verify_mask import VerifyMask
from infra.traffic.craft import Craft
from infra.traffic.dataset import dataset_keys, labelled_batches
from infra.traffic.opening import not_yet
from infra.traffic.population import Population
from tests.normalize.agents import IPHONE, environment, verified
from tests.normalize.agents import NORMALIZE as STAGE

_FOLDER = Path(__file__).parents[1] / "captures"
AT = 1_780_272_000_000


def captured(name: str, **changes: Any) -> dict[str, Any]:
    """Return what a real browser showed, with changes that name signals without their family's dot."""
    signals: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))
    return {**signals, **{changed.replace("__", "."): value for changed, value in changes.items()}}


def fingerprint(signals: Mapping[str, Any]) -> int:
    return int(environment(dict(signals), at=AT).fingerprint[0])


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_a_real_browser_has_one_fingerprint_on_secure_and_insecure_pages(browser: str) -> None:
    found = fingerprint(captured(f"{browser}-headed"))
    assert found != 0
    assert found == fingerprint(captured(f"{browser}-headed-insecure"))


def test_two_browsers_of_one_machine_and_two_screens_of_one_browser_differ() -> None:
    found = {fingerprint(captured(name)) for name in ("chromium-headed", "firefox-headed", "chromium-headless")}
    assert len(found) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"navigator__user_agent": IPHONE, "navigator__languages": "fr", "navigator__language": "fr"},
        {"intl__timezone": "Asia/Tokyo", "intl__timezone_offset": -540},
        {"screen__width": 1080, "screen__height": 1920},  # turned
        {"screen__inner_width": 800, "screen__outer_width": 810, "screen__avail_height": 900},
        {"audio__sample_rate": 48_000, "media__audio_outputs": 3, "battery__level": 0.3},
        {"navigator__device_memory": None, "client_hints__platform_version": None},
        {"webgl__unmasked_vendor": None, "page__title": "Other", "css__dark_scheme": True},
    ],
)
def test_what_changes_between_visits_or_costs_nothing_to_change_does_not_change_it(changes: dict[str, Any]) -> None:
    assert fingerprint(captured("chromium-headed", **changes)) == fingerprint(captured("chromium-headed"))


def test_zoom_in_firefox_changes_no_fingerprint() -> None:
    zoomed = captured("firefox-headed", screen__width=1745, screen__height=982, screen__device_pixel_ratio=1.1)
    assert fingerprint(zoomed) == fingerprint(captured("firefox-headed"))


@pytest.mark.parametrize("name", [name for part in PARTS.values() for name in part])
def test_every_signal_of_every_part_counts(name: str) -> None:
    shown = captured("chromium-headed")
    changed = "other" if isinstance(shown[name], str) else shown[name] + 9
    assert fingerprint({**shown, name: changed}) != fingerprint(shown)


def test_noise_is_left_out_and_the_machine_under_it_is_recognised() -> None:
    noisy = [
        captured("chromium-headed", canvas__readback_errors=3, canvas__text=text, canvas__geometry=text + 1,
                 audio__sample_sum=124.0 + text, webgl__image=text)
        for text in (11, 12)
    ]  # fmt: skip
    first, second = map(fingerprint, noisy)
    assert first == second != 0
    assert first != fingerprint(captured("chromium-headed"))


def test_noise_on_another_machine_gives_another_fingerprint() -> None:
    changes = {"canvas__pixel_differences": 7, "canvas__text": 11}
    other = captured("chromium-headed", **changes, webgl__unmasked_renderer="ANGLE (Intel, Mesa, OpenGL 4.6)")
    assert fingerprint(other) != fingerprint(captured("chromium-headed", **changes))


def test_with_too_little_known_there_is_none() -> None:
    shown = captured("chromium-headed")
    assert fingerprint({}) == 0
    assert fingerprint({**shown, **not_yet()}) == 0  # a page's first event
    parts = {part: dict.fromkeys(names) for part, names in PARTS.items()}
    assert fingerprint({**shown, **parts["sound"], **parts["graphics"]}) != 0
    assert fingerprint({**shown, **parts["sound"], **parts["graphics"], **parts["fonts"]}) == 0


def test_the_generators_devices_keep_theirs_and_a_farm_shares_one() -> None:
    decode, verify, normalize = Decode(dataset_keys()), VerifyMask(), Normalize()
    devices: dict[bytes, set[int]] = defaultdict(set)
    farms: dict[int, set[bytes]] = defaultdict(set)
    visits: dict[bytes, set[bytes]] = defaultdict(set)
    for made in labelled_batches(2_500, seed=5, small=True):
        kept = normalize(verify(decode(made.raw).oks).oks).oks
        rows = zip(kept.event.device_id, kept.event.session_id, kept.environment.fingerprint.tolist(), strict=True)
        for (device, session, found), kind in zip(rows, [made.kinds[at] for at in _rows(kept)], strict=True):
            if found and kind == "honest":
                devices[device.tobytes()].add(found)
                visits[device.tobytes()].add(session.tobytes())
            elif found and kind == "account_farm":
                farms[found].add(device.tobytes())
    assert max(map(len, devices.values())) == 1
    assert sum(len(sessions) > 1 for sessions in visits.values()) > 10  # who came again
    assert max(map(len, farms.values())) >= 4


def _rows(batch: Any) -> list[int]:
    rows: list[int] = (batch.origin.offset % 256).tolist()
    return rows


def test_most_desktops_of_the_population_have_one_of_their_own() -> None:
    visitors = Population(3).visitors(600, AT)
    found: dict[str, list[int]] = defaultdict(list)
    for at in range(0, len(visitors), 256):
        some = visitors[at : at + 256]
        values = STAGE(verified([dict(visitor.signals) for visitor in some])).oks.environment.fingerprint
        for visitor, value in zip(some, values.tolist(), strict=True):
            found[visitor.system].append(value)
    assert all(0 not in values for values in found.values())
    distinct = {system: len(set(values)) / len(values) for system, values in found.items()}
    assert distinct["windows"] > 0.9  # 0.93 of 5,000, see docs/normalisation.md
    assert distinct["android"] > 0.7
    assert distinct["ios"] < 0.2  # all phones of a model draw alike


def test_a_batch_gives_what_its_rows_give() -> None:
    craft = Craft(9, small=True)
    events = [dict(craft.visitor(AT).signals) for _ in range(12)] + [{}, captured("firefox-headless")]
    whole = STAGE(verified(events)).oks.environment.fingerprint
    assert whole.dtype == np.uint64
    assert [int(value) for value in whole] == [
        int(STAGE(verified([event])).oks.environment.fingerprint[0]) for event in events
    ]
