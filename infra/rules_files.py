"""Files of rules on disk: one YAML file or a directory of them.

A directory holds the global rules, and below ``merchants/<id>/`` those of a merchant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ingest_api.merchants import Merchants
from scoring.rules.document import MOST_BYTES
from scoring.rules.load import load
from scoring.rules.places import Mistake
from scoring.rules.registry import Text, scope_of
from scoring.rules.registry_state import Owner
from scoring.rules.ruleset import Rulebook, Ruleset
from scoring.rules.texts import placed

MERCHANTS: Final = "merchants"
_SUFFIXES: Final = (".yaml", ".yml")
_MOST_FILES: Final = 1_000


class RulesRead(NamedTuple):
    """What was read from disk. Where there are mistakes, the rulebook is not to be used."""

    book: Rulebook
    mistakes: tuple[Mistake, ...]
    texts: Mapping[Owner, tuple[Text, ...]] = {}
    """The files themselves, of those owners who have some."""

    @property
    def rulesets(self) -> dict[str, Ruleset]:
        """Return the rulesets by merchant; the global one is named ``global``."""
        return {"global": self.book.everyone, **self.book.of_merchant}

    def ruleset(self, owner: Owner) -> Ruleset:
        """Return the ruleset of an owner who has files."""
        return self.book.everyone if owner is None else self.book.of_merchant[owner]


class _Found(NamedTuple):
    """A file, and its name below the path that was given."""

    path: Path
    name: str


def read_rules(paths: Sequence[Path], merchant: Owner = None) -> RulesRead:
    """Read files and directories: together they are the global ruleset and those of merchants.

    ``merchant``: they are this one's own. OSError, with a sentence, where something cannot be read.
    """
    reading = _Reading()
    found = [file for path in paths for file in _found_at(path, path)]
    if merchant is not None:
        return RulesRead(Rulebook(of_merchant=reading.own(merchant, found)), *reading.said())
    everyone = reading.ruleset(None, found)
    of_merchant: dict[str, list[_Found]] = {}
    for path in paths:
        for directory in sorted((path / MERCHANTS).iterdir()) if (path / MERCHANTS).is_dir() else ():
            if directory.is_dir():
                of_merchant.setdefault(directory.name, []).extend(_found_at(directory, directory))
    own: dict[str, Ruleset] = {}
    for name, files in of_merchant.items():
        own |= reading.own(name, files)
    return RulesRead(Rulebook(everyone, own), *reading.said())


class _Reading:
    """Collects mistakes and texts."""

    def __init__(self) -> None:
        self._mistakes: list[Mistake] = []
        self._texts: dict[Owner, tuple[Text, ...]] = {}

    def said(self) -> tuple[tuple[Mistake, ...], dict[Owner, tuple[Text, ...]]]:
        """Return the mistakes, each once, and the texts."""
        return tuple(sorted(set(self._mistakes))), self._texts

    def own(self, merchant: str, files: Sequence[_Found]) -> dict[str, Ruleset]:
        """Return the ruleset of a merchant, nothing where there can be no such merchant."""
        try:
            Merchants({merchant: ()})
        except ValueError:
            said = f"{merchant!r} is no merchant; name the directory by its id, letters and digits with '.', '_' or '-'"
            self._mistakes.append(Mistake(str(files[0].path.parent if files else merchant), 1, 1, said))
            return {}
        return {merchant: self.ruleset(merchant, files)}

    def ruleset(self, owner: Owner, files: Sequence[_Found]) -> Ruleset:
        """Return what the files say, without what has mistakes, which are noted."""
        scope = scope_of(owner)
        contents = {file: _content(file.path) for file in {file.path: file for file in files}.values()}
        read = [placed(data, str(file.path)) for file, data in contents.items()]
        self._mistakes += [one for one in read if isinstance(one, Mistake)]
        loaded = load([one for one in read if not isinstance(one, Mistake)], scope)
        self._mistakes += loaded.mistakes
        if contents:
            self._texts[owner] = _texts(contents)
        return Ruleset.of(loaded._replace(mistakes=()), scope)


def _texts(contents: Mapping[_Found, bytes]) -> tuple[Text, ...]:
    """Return files by their short names; by their paths where two have the same."""
    names = Counter(file.name for file in contents)
    return tuple(
        Text(file.name if names[file.name] == 1 else file.path.as_posix(), data.decode("utf-8", "replace"))
        for file, data in contents.items()
    )


def _found_at(path: Path, below: Path) -> list[_Found]:
    return [_Found(file, file.name if file == below else file.relative_to(below).as_posix()) for file in files_at(path)]


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


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
