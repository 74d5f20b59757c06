"""A merchant's own JSON without personal data: what may be kept of the data of an event.

Whole texts go, and not the find alone: ``"a@b.example, please"`` becomes ``"[email]"``. So do numbers and the names of
members; what a member's name says of its value counts: ``{"cvv": 123}``, ``{"phone": "0170 1234567"}``. All else stays
as it is, and the form too: objects keep their number of members, lists their length. What was redacted is redacted to
itself.

Most events hold nothing, which is seen at a glance: they are returned as they are, without a copy.

**Bounds.** At most ``MOST_VALUES`` values and ``MOST_CHARACTERS`` of text are read, ``DEEPEST`` deep; what is beyond is
replaced unread, and so is a text longer than ``LONGEST``. Every pattern is linear in the text; a card number in pieces
is looked for among the first texts of each object or list, and the first ones of all. The worst found took 0.2 s.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import repeat
from typing import Any, Final, NamedTuple

from schemas.personal_data import ID_KINDS, Kind, find_personal_data, possible_kinds
from schemas.personal_data.glance import BETWEEN, ids_may_hold, may_hold
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
_GLANCED_VALUES: Final = 1_000  # what is larger is looked at once, with care
_GLANCED_CHARACTERS: Final = 8 << 10
_GLANCED: Final = 256  # characters of a text that is remembered
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
    """Return a value of JSON without personal data: a copy, or the value itself where there is nothing to take out."""
    return Redacted(value) if _holds_nothing(value) else _Redaction().of(value)


@lru_cache(512)
def holds_in_id(text: str) -> bool:
    """Return whether an id that a merchant gave holds personal data; a request's is asked about more than once."""
    return ids_may_hold(text) and find_personal_data(text, ID_KINDS) is not None


def is_mark(value: Any) -> bool:
    """Return whether a value stands for one that was taken out."""
    return isinstance(value, str) and _MARK.match(value) is not None


def pointer(path: Iterable[Step]) -> str:
    """Return the JSON pointer of a place."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


_Holder = tuple[Any, str, str]  # an object or a list, its name and that of the object around it


class _Glance(IntEnum):
    """What a text is by itself. Pieces of a card number lie in several texts of one object or list."""

    NOTHING = 0
    PIECE = 1
    FIRST_PIECE = 2
    SUSPECT = 3


class _Names(NamedTuple):
    """The names of an object: their characters together, and whether one of them says what its value is."""

    characters: int
    telling: bool


_NOT_GLANCED: Final = _Names(_GLANCED_CHARACTERS + 1, telling=False)


def _holds_nothing(value: Any) -> bool:
    """Return True only where redaction would give an equal copy; False says nothing."""
    looking: list[_Holder] = [(value, "", "")]
    values, characters = 1, _GLANCED_CHARACTERS
    for one in looking:  # which grows
        holder = one[0]
        if type(holder) is not dict and type(holder) is not list:
            return False
        values += len(holder)
        if values > _GLANCED_VALUES or len(looking) > DEEPEST:  # so many holders are no deeper
            return False
        characters = _glance_into(one, looking, characters)
        if characters < 0:
            return False
    return True


def _glance_into(one: _Holder, looking: list[_Holder], left: int) -> int:
    """Return how many of the characters are left, less than 0 where something may have to go. Inner ones are added.

    A text or number is looked at with its member's name and that of the object around it, as ``_look_at`` does.
    """
    holder, name, above = one
    if type(holder) is dict:
        size, telling = _glance_at_names(tuple(holder))
        left, telling, above = left - size, telling or _telling(name), name
        pairs: Iterable[tuple[Any, Any]] = holder.items()
    else:
        telling, pairs = _telling(name) or _telling(above), zip(repeat(name), holder, strict=False)
    pieces, first = 0, False
    for key, child in pairs:
        kind = type(child)
        if kind is str:
            left -= len(child)
            glance = _glance(child) if len(child) <= _GLANCED else _glance_at_long(child)
            if left < 0 or glance is _Glance.SUSPECT:
                return -1
            if glance:
                pieces, first = pieces + 1, first or glance is _Glance.FIRST_PIECE
        elif kind is dict or kind is list:
            looking.append((child, key, above))
        elif kind is int or kind is float:
            if not -_LEAST_NUMBER < child < _LEAST_NUMBER:  # NaN neither
                return -1
        elif child is not None and kind is not bool:
            return -1
        if telling and not _says_nothing(key, above, child):
            return -1
    return -1 if first and pieces > 1 else left


def _says_nothing(name: str, above: str, value: Any) -> bool:
    """Return whether a text or a number under the bound is clean beside the names that may say what it is."""
    if isinstance(value, str):
        return len(value) <= _GLANCED and _is_clean_beside(name, above, value)
    if type(value) is bool or not isinstance(value, int | float) or int(value) != value:
        return True
    digits = str(abs(int(value)))
    return _glance(digits) is not _Glance.SUSPECT and _is_clean_beside(name, above, digits)


@lru_cache(4_096)
def _is_clean_beside(name: str, above: str, text: str) -> bool:
    if not text or not (_telling(name) or _telling(above)):
        return True
    beside = f"{_words(name)}={text}"
    return not _marked(beside) and not (above and _marked(f"{_words(above)}_{beside}"))


@lru_cache(512)
def _glance_at_names(names: tuple[Any, ...]) -> _Names:
    for name in names:
        if type(name) is not str or len(name) > _GLANCED or _glance(name) is _Glance.SUSPECT:
            return _NOT_GLANCED
    return _Names(sum(map(len, names)), any(map(_telling, names)))


@lru_cache(8_192)
def _glance(text: str) -> _Glance:
    if not _is_whole(text) or (len(text) >= _SHORTEST and may_hold(text.encode()) and _marked(text)):
        return _Glance.SUSPECT
    if not (_is_open(text) and _has_digit(text)):
        return _Glance.NOTHING
    return _Glance.FIRST_PIECE if may_begin(text) else _Glance.PIECE


def _glance_at_long(text: str) -> _Glance:
    """Look at a text that is too long to be remembered: what may hold something is looked at once, with care."""
    if len(text) > LONGEST or not text.isascii() or may_hold(text.encode()):
        return _Glance.SUSPECT
    return _Glance.NOTHING  # it has no digit


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
        if piece and _is_open(text):
            self._note_piece(one)
        if text and (_telling(name) or _telling(above)):
            self._suspects.append(one._replace(text=f"{_words(name)}={text}"))
            if above:
                self._suspects.append(one._replace(text=f"{_words(above)}_{_words(name)}={text}"))

    def _note_piece(self, one: _Suspect) -> None:
        pieces = self._pieces.setdefault(id(one.holder), [])
        if self._noted < _ALL_PIECES and len(pieces) < _MOST_PIECES and _has_digit(one.text):
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


def _is_open(text: str) -> bool:
    """Return whether a text begins or ends with something else than a letter, as a piece of a card number does."""
    return text[-1:].isdigit() or not text[-1:].isalpha() or not text[:1].isalpha()


def _has_digit(text: str) -> bool:
    """Return whether there is a digit near the text's ends."""
    return any(map(str.isdigit, text[:_END] + text[-_END:]))


def _is_whole(text: str) -> bool:
    """Return whether a text can be written as UTF-8: JSON may hold half a surrogate pair."""
    return text.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in text)


@lru_cache(4_096)
def _telling(name: str) -> bool:
    return len(name) <= LONGEST and _TELLING.search(name) is not None


@lru_cache(4_096)
def _words(name: str) -> str:
    return _HUMP.sub("_", name[:LONGEST])
