"""A diff in words: what the text, the page and the exit of the command say alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]


def side_name(found: Json, side: str) -> str:
    """Return the name of a side."""
    return str(found[side]["name"])


def headline(found: Json) -> str:
    """Return the verdict."""
    a, b = side_name(found, "a"), side_name(found, "b")
    return {
        "identical": f"{a} and {b} are identical",
        "other_versions": f"{a} and {b} have the same outcomes, by other versions",
        "different": f"{a} and {b} differ",
    }[found["verdict"]]


def sentences(found: Json) -> Iterator[str]:
    """Yield what matters most."""
    a, b = side_name(found, "a"), side_name(found, "b")
    events, flips, scores = found["events"], found["flips"], found["scores"]
    yield f"{_size(found['a'])}; {_size(found['b'])}."
    if found["verdict"] == "identical":
        yield "Every compared column of every event is the same bit for bit."
        return
    yield (
        f"{events['both']:,} events are on both sides: {events['changed']:,} differ, {scores['changed']:,} in score, "
        f"{flips['flips']:,} in decision ({share(flips['share'])}; {flips['stricter']:,} stricter, {flips['milder']:,} "
        f"milder in {a})."
    )
    if events["only_a"] or events["only_b"]:
        yield f"Scored on one side only: {events['only_a']:,} in {a}, {events['only_b']:,} in {b}."
    if events["changed_state"]:
        yield (
            f"{events['changed_state']:,} events have other counts or another history: not only the model differs, but "
            "the state that it looked at."
        )
    if scores["changed"]:
        yield (
            f"The mean score changes by {scores['mean_difference']:+.4f}, that of one event by "
            f"{scores['max_abs_difference']:g} at most."
        )
    if not found["labelled"]["measures"]:
        yield "No event of both sides is labelled: what is better cannot be said."


def share(value: float) -> str:
    """Return a share in percent."""
    return f"{value:.3%}"


def number(value: float | int) -> str:
    """Return a count or a figure."""
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def version(one: Json) -> str:
    """Return what decided, empty parts left out."""
    said = ((name, str(one[name])) for name in ("model", "build", "ruleset", "policy"))
    return ", ".join(f"{name} {value[:24]}" if name != "model" else value for name, value in said if value)


def _size(side: Json) -> str:
    return (
        f"{side['name']}: {side['events']:,} events and {side['letters']:,} dead letters, digest {side['digest'][:16]}"
    )
