"""A merchant's own JSON without personal data: what may be kept of the data of an event.

Whole texts go, and not the find alone: ``"a@b.example, please"`` becomes ``"[email]"``. So do numbers and the names of
members; what a member's name says of its value counts: ``{"cvv": 123}``, ``{"phone": "0170 1234567"}``. All else stays
as it is, and the form too: objects keep their number of members, lists their length. What was redacted is redacted to
itself.

**Bounds.** At most ``MOST_VALUES`` values and ``MOST_CHARACTERS`` of text are read, ``DEEPEST`` deep; what is beyond is
replaced unread, and so is a text longer than ``LONGEST``. Every pattern is linear in the text; a card number in pieces
is looked for among the first texts of each object or list, and the first ones of all. The worst found took 0.2 s.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from schemas.personal_data import ID_KINDS, Kind, find_personal_data, possible_kinds
from schemas.personal_data.glance import BETWEEN, may_hold
from schemas.personal_data.known import Known
from schemas.personal_data.split_card import may_begin, split_card

MOST_VALUES: Final = 10_000
MOST_CHARACTERS: Final = 32 << 10
LONGEST: Final = 4_096  # characters of a text that is read
DEEPEST: Final = 64
MOST_NAMED: Final = 64  # places; where more was redacted, the whole is named
NOT_READ: Final = "[not read]"
_CARD: Final = "[card_number]"
_MARK: Final = re.compile(r"\[(?:not read|[a-z_]+)\](?:#[0-9]+)?\Z")
_SHORTEST: Final = 5  # characters that can be anything by themselves
_LEAST_NUMBER: Final = 10**11  # whole numbers that can be anything by themselves
_MOST_NUMBER: Final = 10**19
_EXACT: Final = 2**53  # whole numbers that a double holds
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Names of members that may say what a value is, which by itself would be any number or word.
_TELLING: Final = re.compile(
    r"tel|phone|mob|cell|handy|fax|sms|callto|whats|msisdn|rufn|portable|cv[vcn]|csc|cav2|code|verif|pr\u00fcf|crypto"
    r"|exp|pass|pwd|kennwort|contrase|secret|token|key|sess|sid|auth|jwt|otp|sig|credential|adha|uidai",
    re.IGNORECASE,
)
_MOST_PIECES: Final = 16  # texts of one object or list that may together be one card number
_ALL_PIECES: Final = 256  # and of the whole: pairs of them take their time
_END: Final = 60
# What was found clean is passed over when it comes again: that changes the time taken, never what comes out.
_clean_names: Known[str] = Known()
_clean_texts: Known[str] = Known()


class Redacted(NamedTuple):
    """A value without personal data, and where something was taken out of it, as JSON pointers (RFC 6901)."""

    value: Any
    places: tuple[str, ...] = ()


Step = str | int
Holder = dict[str, Any] | list[Any]


class _Suspect(NamedTuple):
    """A text that may hold something, and what stands for it in the copy."""

    text: str
    holder: Any
    step: Any
    path: tuple[Step, ...]


def redact_json(value: Any) -> Redacted:
    """Return a value of JSON without personal data, as a copy."""
    return _Redaction().of(value)


def holds_in_id(text: str) -> bool:
    """Return whether an id that a merchant gave holds personal data."""
    return find_personal_data(text, ID_KINDS) is not None


def is_mark(value: Any) -> bool:
    """Return whether a value stands for one that was taken out."""
    return isinstance(value, str) and _MARK.match(value) is not None


def pointer(path: Iterable[Step]) -> str:
    """Return the JSON pointer of a place."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


class _Redaction:
    """A copy is made first, and what may hold something is looked at together: most events hold nothing."""

    def __init__(self) -> None:
        self._values = MOST_VALUES
        self._characters = MOST_CHARACTERS
        self._suspects: list[_Suspect] = []
        self._places: list[tuple[Step, ...]] = []
        self._noted = 0
        self._pieces: dict[int, list[_Suspect]] = {}  # by the object or list that holds them

    def of(self, value: Any) -> Redacted:
        root: list[Any] = [None]
        self._put(root, 0, value, (), "", "")
        self._take_out(self._suspects)
        for pieces in self._pieces.values():
            self._take_out_pieces(pieces)
        places = tuple(dict.fromkeys(map(pointer, self._places)))
        return Redacted(root[0], places if len(places) <= MOST_NAMED else ("",))

    def _put(self, holder: Any, step: Step, value: Any, path: tuple[Step, ...], name: str, above: str) -> None:
        """Put the copy of a value into its holder."""
        self._values -= 1
        kind = type(value)
        if self._values < 0 or len(path) > DEEPEST:
            self._mark(holder, step, path, NOT_READ)
        elif kind is str:
            holder[step] = value
            self._look_at(_Suspect(value, holder, step, path), name, above)
        elif value is None or kind is bool:
            holder[step] = value
        elif kind is int or kind is float:
            self._put_number(holder, step, value, path, name, above)
        elif isinstance(value, Mapping):
            self._put_object(holder, step, value, path, name)
        elif isinstance(value, list | tuple):
            holder[step] = made = [None] * len(value)
            for place, inner in enumerate(value):
                self._put(made, place, inner, (*path, place), name, above)
        else:
            self._mark(holder, step, path, NOT_READ)

    def _put_object(self, holder: Any, step: Step, value: Mapping[Any, Any], path: tuple[Step, ...], name: str) -> None:
        holder[step] = made = dict[str, Any]()
        numbers: dict[str, int] = {}
        for key, inner in value.items():
            kept = self._name(str(key), made, numbers)
            if kept != key:
                self._places.append((*path, kept))
            self._put(made, kept, inner, (*path, kept), kept, name)

    def _name(self, key: str, taken: Mapping[str, Any], numbers: dict[str, int]) -> str:
        self._characters -= len(key)
        kept = key
        if not is_mark(key) and (len(key) > LONGEST or self._characters < 0 or not _is_whole(key)):
            kept = NOT_READ  # also where it is known to be clean: what comes out depends on the event alone
        elif not is_mark(key) and key not in _clean_names:
            kept = (_marked(key) if len(key) >= _SHORTEST and may_hold(key.encode()) else None) or key
            if kept == key:
                _clean_names.add({key})
        wanted = kept
        while kept in taken:
            numbers[wanted] = numbers.get(wanted, 1) + 1
            kept = f"{wanted}#{numbers[wanted]}"
        return kept

    def _put_number(self, holder: Any, step: Step, value: float, path: tuple[Step, ...], name: str, above: str) -> None:
        """Look at whole numbers only: the digits of a share or of a place on earth are no card's."""
        holder[step] = value
        if isinstance(value, float) and not math.isfinite(value):  # whole numbers of JSON may be larger than a float
            self._mark(holder, step, path, NOT_READ)
            return
        whole = int(value)
        size = abs(whole)
        if whole != value or (size < _LEAST_NUMBER and not (_telling(name) or _telling(above))):
            return
        large, exact = size >= _MOST_NUMBER, isinstance(value, int)
        if large == exact and (large or size > _EXACT):  # of a rounded number the check digit tells nothing
            self._mark(holder, step, path, NOT_READ)
            return
        if large:
            return
        self._look_at(_Suspect(str(size), holder, step, path), name, above, piece=False)

    def _look_at(self, one: _Suspect, name: str, above: str, piece: bool = True) -> None:
        """Note a text that may hold something, by itself and beside its name."""
        text = one.text
        self._characters -= len(text)
        if len(text) > LONGEST or self._characters < 0 or not _is_whole(text):
            self._mark(one.holder, one.step, one.path, NOT_READ)
            return
        if is_mark(text):
            return
        if len(text) >= _SHORTEST and text not in _clean_texts and may_hold(text.encode()):
            self._suspects.append(one)
        if piece and (text[-1:].isdigit() or not text[-1:].isalpha() or not text[:1].isalpha()):
            self._note_piece(one)
        if text and (_telling(name) or _telling(above)):
            self._suspects.append(one._replace(text=f"{_words(name)}={text}"))
            if above:
                self._suspects.append(one._replace(text=f"{_words(above)}_{_words(name)}={text}"))

    def _note_piece(self, one: _Suspect) -> None:
        pieces = self._pieces.setdefault(id(one.holder), [])
        if (
            self._noted < _ALL_PIECES
            and len(pieces) < _MOST_PIECES
            and any(map(str.isdigit, one.text[:_END] + one.text[-_END:]))
        ):
            pieces.append(one)
            self._noted += 1

    def _take_out(self, suspects: Sequence[_Suspect]) -> None:
        if not suspects:
            return
        kinds = possible_kinds(BETWEEN.join([one.text for one in suspects]))
        for one in suspects:
            mark = _marked(one.text, kinds) if kinds else None
            if mark:
                self._mark(one.holder, one.step, one.path, mark)
            else:
                _clean_texts.add({one.text})

    def _take_out_pieces(self, pieces: list[_Suspect]) -> None:
        """Take out the pieces of card numbers that lie in several texts."""
        left = [one for one in pieces if not is_mark(one.holder[one.step])]
        while len(left) > 1 and any(may_begin(one.text) for one in left):
            found = split_card([one.text for one in left])
            if not found:
                return
            for place in found:
                self._mark(left[place].holder, left[place].step, left[place].path, _CARD)
            left = [one for place, one in enumerate(left) if place not in found]

    def _mark(self, holder: Any, step: Step, path: tuple[Step, ...], mark: str) -> None:
        holder[step] = mark
        self._places.append(path)


def _marked(text: str, kinds: Iterable[Kind] | None = None) -> str | None:
    reason = find_personal_data(text) if kinds is None else find_personal_data(text, kinds)
    return None if reason is None else f"[{reason.value.removeprefix('mask.')}]"


def _is_whole(text: str) -> bool:
    """Return whether a text can be written as UTF-8: JSON may hold half a surrogate pair."""
    return text.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in text)


@lru_cache(4_096)
def _telling(name: str) -> bool:
    return len(name) <= LONGEST and _TELLING.search(name) is not None


@lru_cache(4_096)
def _words(name: str) -> str:
    return _HUMP.sub("_", name[:LONGEST])
