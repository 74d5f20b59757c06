"""The catalogue: positions that never move, bounds, errors that name the declaration, hashes."""

from __future__ import annotations

import pickle
from importlib import resources

import jsonschema
import numpy as np
import pytest

from schemas.catalogue import KINDS, category_hash, load_catalogue, parse_catalogue

TEXT = resources.files("schemas").joinpath("catalogue.toml").read_text("utf-8")
PRESENT = load_catalogue().version
LATER = PRESENT + 1
NEWER = (
    TEXT.replace(f"version = {PRESENT}", f"version = {LATER}", 1)
    + f"""
[[family]]
name = "future"
doc = "Signals of a later version"
since = {LATER}
numbers = [{{ name = "a", min = 0, max = 1, outside = "dead" }}, {{ name = "b" }}]
booleans = ["c"]
categories = ["d"]
texts = ["e"]
"""
)


def test_the_catalogue_has_over_1000_signals_in_dense_positions_of_four_kinds() -> None:
    catalogue = load_catalogue()
    assert len(catalogue) > 1_000
    assert sum(catalogue.counts()) == len(catalogue)
    for kind in KINDS:
        assert [signal.position for signal in catalogue.of_kind(kind)] == list(range(len(catalogue.of_kind(kind))))
        assert all(signal.kind == kind for signal in catalogue.of_kind(kind))


def test_positions_of_an_older_catalogue_are_a_prefix_of_a_newer_one_wherever_a_signal_is_declared() -> None:
    first = load_catalogue()
    in_the_middle = NEWER.replace(
        'numbers = [\n    { name = "brand', f'numbers = [{{ name = "new", since = {LATER} }},\n    {{ name = "brand'
    )
    assert in_the_middle != NEWER
    for second in (parse_catalogue(NEWER), parse_catalogue(in_the_middle)):
        assert second.version == LATER
        for kind in KINDS:
            assert second.of_kind(kind)[: len(first.of_kind(kind))] == first.of_kind(kind)
            assert len(second.of_kind(kind)) > len(first.of_kind(kind))
        assert second.digest() != first.digest()


def test_bounds_stand_at_the_positions_of_their_numbers() -> None:
    catalogue = load_catalogue()
    low, high, dead = catalogue.bounds()
    width = catalogue.number("screen.width")
    assert (low[width], high[width], dead[width]) == (0, 65536, True)
    assert not dead[catalogue.number("screen.color_depth")]
    assert low.dtype == high.dtype == np.float32
    assert (low <= high).all()


def test_positions_are_asked_by_name_and_kind() -> None:
    catalogue = load_catalogue()
    assert catalogue.texts[catalogue.text("page.url")].name == "page.url"
    assert catalogue.booleans[catalogue.boolean("navigator.webdriver")].name == "navigator.webdriver"
    assert catalogue.categories[catalogue.category("navigator.platform")].name == "navigator.platform"
    with pytest.raises(KeyError, match=r"'page\.url' is a text, not a number"):
        catalogue.number("page.url")
    with pytest.raises(KeyError):
        catalogue.number("no.such")


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ('[[family]]\nname = "screen"\ndoc = ""\nnumbers = ["width"]', r"'screen\.width' is declared twice"),
        ('[[family]]\nname = "x"\ndoc = ""\nsince = 99\nnumbers = ["y"]', r"'x\.y' is newer than version \d"),
    ],
)
def test_a_wrong_declaration_is_named(addition: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_catalogue(f"{TEXT}\n{addition}\n")


def test_a_pickled_catalogue_is_the_same_object() -> None:
    assert pickle.loads(pickle.dumps(load_catalogue())) is load_catalogue()  # noqa: S301 - our own bytes


def test_the_json_schema_takes_what_the_nested_form_takes_and_refuses_unknown_signals() -> None:
    schema = load_catalogue().json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate({"screen.width": 1920, "navigator.webdriver": None, "navigator.platform": "Win32"})
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"no.such": 1})
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"screen.width": "1920"})


# draft-eastlake-fnv, appendix C: 32-bit FNV-1a without the terminating NUL.
@pytest.mark.parametrize(
    ("text", "value"),
    [("", 0x811C9DC5), ("a", 0xE40C292C), ("b", 0xE70C2DE5), ("foob", 0x3F5076EF), ("foobar", 0xBF9CF968)],
)
def test_category_hash_is_fnv_1a(text: str, value: int) -> None:
    assert category_hash(text) == value


def test_category_hash_never_is_the_mark_of_absence() -> None:
    assert category_hash("IwPSdT") == 1  # found by search: its FNV-1a is 0


def test_long_strings_hash_alike_with_and_without_the_cache() -> None:
    short = "x" * 256
    assert category_hash(short) == category_hash(short)
    state = category_hash(short)
    assert category_hash(short + "y") == ((state ^ ord("y")) * 0x01000193) & 0xFFFFFFFF
    assert category_hash("\ud800") != 0
