"""Files of rules on disk: one YAML file or a directory of them, read into values that know their places.

A directory holds the global rules, and below ``merchants/<id>/`` those of a merchant.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ingest_api.merchants import Merchants
from scoring.rules.document import MOST_BYTES
from scoring.rules.load import Scope, load
from scoring.rules.places import Mistake, Placed
from scoring.rules.ruleset import Rulebook, Ruleset
from scoring.rules.texts import placed

MERCHANTS: Final = "merchants"
_SUFFIXES: Final = (".yaml", ".yml")
_MOST_FILES: Final = 1_000


class RulesRead(NamedTuple):
    """What was read from disk. Where there are mistakes, the rulebook is not to be used."""

    book: Rulebook
    mistakes: tuple[Mistake, ...]

    @property
    def rulesets(self) -> dict[str, Ruleset]:
        """Return the rulesets by merchant; the global one is named ``global``."""
        return {"global": self.book.everyone, **self.book.of_merchant}


def read_rules(paths: Sequence[Path]) -> RulesRead:
    """Read files and directories: together they are the global ruleset and those of merchants.

    OSError, with a sentence, where something cannot be read.
    """
    mistakes: list[Mistake] = []
    everyone = _ruleset([file for path in paths for file in files_at(path)], "global", mistakes)
    of_merchant: dict[str, list[Path]] = {}
    for path in paths:
        for directory in sorted((path / MERCHANTS).iterdir()) if (path / MERCHANTS).is_dir() else ():
            if directory.is_dir():
                of_merchant.setdefault(directory.name, []).extend(files_at(directory))
    own: dict[str, Ruleset] = {}
    for merchant, files in of_merchant.items():
        try:
            Merchants({merchant: ()})
        except ValueError:
            said = f"{merchant!r} is no merchant; name the directory by its id, letters and digits with '.', '_' or '-'"
            mistakes.append(Mistake(str(files[0].parent), 1, 1, said))
        else:
            own[merchant] = _ruleset(files, "own", mistakes)
    return RulesRead(Rulebook(everyone, own), tuple(sorted(set(mistakes))))


def _ruleset(files: Sequence[Path], scope: Scope, mistakes: list[Mistake]) -> Ruleset:
    """Return what the files say, without what has mistakes, which are noted."""
    read = [read_file(file) for file in dict.fromkeys(files)]
    mistakes += [one for one in read if isinstance(one, Mistake)]
    loaded = load([one for one in read if not isinstance(one, Mistake)], scope)
    mistakes += loaded.mistakes
    return Ruleset.of(loaded._replace(mistakes=()), scope)


def files_at(path: Path) -> list[Path]:
    """Return the files of one ruleset: the file itself, or those directly in the directory, by name.

    OSError where there is none, or too many, or the directory cannot be read.
    """
    if not path.is_dir():
        return [path]
    found = sorted(child for child in path.iterdir() if child.suffix in _SUFFIXES and child.is_file())
    if not found and not (path / MERCHANTS).is_dir():
        raise FileNotFoundError(f"{path} has no file that ends in .yaml; name one, or another directory")
    if len(found) > _MOST_FILES:
        raise OSError(f"{path} has more than {_MOST_FILES:,} files; join some of them")
    return found


def read_file(path: Path) -> tuple[str, Placed | None] | Mistake:
    """Return a file's name and content, or why it is no YAML of a ruleset. OSError where it cannot be read."""
    with path.open("rb") as file:
        return placed(file.read(MOST_BYTES + 1), str(path))
