"""Classes of networks by autonomous system: a short list that is kept by hand (``systems.csv``), each with a reason.

A number can be given to somebody else. So each entry says words that the system's present name must have; where it has
them no more, the number is left out, and the update says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from infra.data.packages import DataRefused
from schemas.networks import NETWORK_CLASSES

LIST = Path(__file__).with_name("systems.csv")


class Listed(NamedTuple):
    """One line of the list."""

    network_class: str
    words: str  # of the name, lower case
    numbers: tuple[int, ...]
    reason: str


class Systems(NamedTuple):
    """What holds of the present names."""

    classes: dict[int, str]  # class by number
    renamed: tuple[str, ...]  # what was left out


def read_systems(path: Path = LIST) -> tuple[Listed, ...]:
    """Return the list; DataRefused where a line has another form."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            try:
                network_class, words, numbers, reason = line.split(";", 3)
                one = Listed(network_class, words.lower(), tuple(map(int, numbers.split())), reason)
            except ValueError:
                one = Listed("", "", (), "")
            if one.network_class not in NETWORK_CLASSES or not (one.words and one.numbers and one.reason):
                raise DataRefused(f"{path} has a line of another form: {line}")
            found.append(one)
    return tuple(found)


def classes_of_systems(listed: tuple[Listed, ...], names: Mapping[int, str]) -> Systems:
    """Return the classes of the systems whose names are still as the list says."""
    classes, renamed = {}, []
    for one in listed:
        for number in one.numbers:
            name = names.get(number, "")
            if one.words in name.lower():
                classes[number] = one.network_class
            else:
                renamed.append(f"AS{number} is {name or 'no longer announced'}, not {one.words}: left out")
    return Systems(classes, tuple(renamed))
