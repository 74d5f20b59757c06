"""The registry of log codes: classes like HTTP's, unique, with what the console needs to show them."""

from __future__ import annotations

import pytest

from schemas import log_codes
from schemas.log_codes import load_log_codes

CATEGORIES = {1: "lifecycle", 2: "progress", 3: "attention", 4: "input", 5: "error"}


def test_every_code_lies_in_the_class_of_its_category() -> None:
    codes = load_log_codes()
    assert {code.code // 100 for code in codes.by_code.values()} == set(CATEGORIES)
    assert all(CATEGORIES[code.code // 100] == code.category for code in codes.by_code.values())


def test_codes_and_names_are_unique_and_find_each_other() -> None:
    codes = load_log_codes()
    assert len(codes.by_code) == len(codes.by_name) >= 30
    assert all(
        codes.by_name[code.name] is code and codes.code(code.name) == number for number, code in codes.by_code.items()
    )


def test_severities_and_colours_are_from_closed_sets() -> None:
    found = load_log_codes().by_code.values()
    assert {code.severity for code in found} <= {"info", "notice", "warning", "error"}
    assert {code.colour for code in found} <= {"grey", "green", "blue", "amber", "orange", "red"}
    assert all(code.severity in ("warning", "error") for code in found if code.colour == "red")


def test_targets_fit_a_byte_and_are_unique() -> None:
    targets = load_log_codes().targets
    assert targets["none"] == 0
    assert len(set(targets.values())) == len(targets)
    assert all(0 <= number <= 255 for number in targets.values())


@pytest.mark.parametrize("twice", ['code = 100\nname = "other"', 'code = 199\nname = "page_opened"'])
def test_a_code_or_name_declared_twice_is_refused(twice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[[code]]\ncode = 100\nname = "page_opened"\n{}[[code]]\n{}\n{}[targets]\nnone = 0\n'
    rest = 'category = "lifecycle"\nseverity = "info"\ncolour = "grey"\n'

    class File:
        def joinpath(self, _name: str) -> File:
            return self

        def read_text(self, _encoding: str) -> str:
            return text.format(rest, twice, rest)

    monkeypatch.setattr(log_codes.resources, "files", lambda _package: File())
    with pytest.raises(ValueError, match="declared twice"):
        load_log_codes.__wrapped__()
