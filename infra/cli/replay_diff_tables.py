"""A diff as text: sentences, and a table for whatever differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from infra.cli.deadletters_parts import moment, screen, table, visible
from infra.replay_diff_words import headline, number, sentences, share, side_name, version
from schemas.result import DECISIONS

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN = 10
_BAR = 40
_MEASURES = ("precision_review", "recall_review", "precision_deny", "recall_deny")
Json = Mapping[str, Any]


def print_diff(found: Json, console: Console | None = None) -> None:
    """Print what ``infra.replay_diff.diff`` gives."""
    out = console or screen()
    colour = {"identical": "green", "other_versions": "yellow", "different": "red"}[found["verdict"]]
    out.print(visible(headline(found)), style=f"bold {colour}", soft_wrap=True)
    for sentence in (*sentences(found), *found["notes"]):
        out.print(visible(sentence), soft_wrap=True)
    for one in _tables(found):
        out.print()
        out.print(one)


def _tables(found: Json) -> Iterable[Any]:
    yield _versions(found)
    if found["verdict"] == "identical":
        return
    yield from _where(found)
    yield from _scores(found["scores"])
    yield from _flips(found)
    yield from _details(found)
    yield from _missing(found)
    yield from _labelled(found)
    yield from _examples(found)


def _filled(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> Any:
    made = table(title, *head, right=head[left:])
    for row in rows:
        made.add_row(*map(visible, row))
    return made


def _versions(found: Json) -> Any:
    rows = [
        (side_name(found, side), version(one), f"{one['events']:,}")
        for side in ("a", "b")
        for one in found[side]["versions"][:_SHOWN]
    ]
    return _filled("Versions", ("side", "model, build, ruleset, policy", "events"), rows, left=2)


def _where(found: Json) -> Iterable[Any]:
    if found["first_difference"]:
        rows = [
            (name, f"{one['events']:,}", f"{one['scores']:,}", f"{one['flips']:,}", f"{found['groups'][name]:,}")
            for name, one in found["first_difference"].items()
        ]
        head = ("differs first", "events", "changed scores", "flips", "differs at all")
        yield _filled("Where events begin to differ, in the order of the stages", head, rows)


def _scores(scores: Json) -> Iterable[Any]:
    if not scores["changed"]:
        return
    edges, counts = scores["differences"]["edges"], scores["differences"]["events"]
    most = max(counts) or 1
    rows = [
        (f"{low:+g} to {high:+g}", f"{count:,}", "█" * max(1, round(count / most * _BAR)))
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count
    ]
    made = table("Changes of scores", "change", "events", "", right=("change", "events"))
    for row in rows:
        made.add_row(*row)
    yield made


def _flips(found: Json) -> Iterable[Any]:
    flips, who = found["flips"], found["decided_by"]
    if not flips["flips"] and not who["changed"]:
        return
    a, b = side_name(found, "a"), side_name(found, "b")
    rows = [
        (f"{b}: {name}", *(f"{count:,}" for count in counts))
        for name, counts in zip(DECISIONS, flips["matrix"], strict=True)
    ]
    yield _filled("Decisions", ("", *(f"{a}: {name}" for name in DECISIONS)), rows)
    merchants = [one for one in flips["by_merchant"] if one["flips"]]
    if merchants:
        rows = [
            (one["merchant"], f"{one['events']:,}", f"{one['flips']:,}", share(one["share"]), f"{one['stricter']:,}",
             f"{one['milder']:,}")
            for one in merchants[:_SHOWN]
        ]  # fmt: skip
        yield _filled("Flips by merchant", ("merchant", "events", "flips", "share", "stricter", "milder"), rows)
    names, matrix, of_flips = who["names"], who["matrix"], who["of_flips"]
    rows = [
        (names[was], names[now], f"{matrix[was][now]:,}", f"{of_flips[was][now]:,}")
        for was in range(len(names))
        for now in range(len(names))
        if (was != now and matrix[was][now]) or of_flips[was][now]
    ]
    if rows:
        yield _filled("Who decided", (f"{b}", f"{a}", "events", "flips"), rows, left=2)


def _details(found: Json) -> Iterable[Any]:
    parts: tuple[tuple[str, str, Sequence[Json]], ...] = (
        (f"Factors: {found['factors']['events']:,} events, {found['factors']['top_events']:,} with another at the top",
         "code", found["factors"]["codes"]),
        (f"Smart signals: {found['smart']['events']:,} events", "signal", found["smart"]["signals"]),
        (f"Rules that matched: {found['rules']['events']:,} events", "rule", found["rules"]["rules"]),
        (f"Counts: velocity at {found['counts']['velocity_events']:,} events, shared counts at "
         f"{found['counts']['shared_events']:,}", "count", found["counts"]["counts"]),
    )  # fmt: skip
    for title, what, rows in parts:
        if rows:
            head = tuple(rows[0])
            cells = [(row[what], *(number(row[name]) for name in head if name != what)) for row in rows[:_SHOWN]]
            yield _filled(title, tuple(name.replace("_", " ") for name in head), cells)


def _missing(found: Json) -> Iterable[Any]:
    names = {"only_a": ("a", "b"), "only_b": ("b", "a")}
    rows = [
        (side_name(found, names[only][0]), f"{reason} in {side_name(found, names[only][1])}", f"{count:,}")
        for only, fates in found["missing"].items()
        for reason, count in (*fates["dead_lettered"].items(), ("absent", fates["absent"]))
        if count
    ]
    if rows:
        yield _filled("Scored on one side only", ("scored in", "and", "events"), rows, left=2)
    letters = found["letters"]
    if letters["on_one_side"] or letters["other_reason"]:
        reasons = sorted({*letters["a"], *letters["b"]})
        cells = [(reason, *(f"{letters[side].get(reason, 0):,}" for side in ("a", "b"))) for reason in reasons]
        yield _filled("Dead letters", ("reason", side_name(found, "a"), side_name(found, "b")), cells)


def _labelled(found: Json) -> Iterable[Any]:
    labelled = found["labelled"]
    if not labelled["measures"]:
        return
    a, b = side_name(found, "a"), side_name(found, "b")
    title = f"On labelled events: {labelled['fraud']:,} fraud, {labelled['genuine']:,} genuine"
    rows = [(name.replace("_", " "), *_measured(one)) for name, one in labelled["measures"].items()]
    yield _filled(title, ("", a, b, "difference", "95% interval"), rows)
    parts = [
        (part["merchant"], name.replace("_", " "), *_measured(part["measures"][name]))
        for part in labelled["by_merchant"][:_SHOWN]
        for name in _MEASURES[:2]
    ]
    if len(labelled["by_merchant"]) > 1:
        yield _filled("By merchant", ("merchant", "", a, b, "difference", "95% interval"), parts, left=2)


def _measured(one: Json) -> tuple[str, str, str, str]:
    interval = "-" if one["low"] is None else f"{one['low']:+.4f} to {one['high']:+.4f}"
    values = (("-" if one[name] is None else f"{one[name]:{form}}") for name, form in (("a", ".4f"), ("b", ".4f"),
                                                                                      ("delta", "+.4f")))  # fmt: skip
    first, second, delta = values
    return first, second, delta, interval


def _examples(found: Json) -> Iterable[Any]:
    if found["examples"]:
        head = ("event", "merchant", "event time", side_name(found, "a"), side_name(found, "b"), "differs in")
        rows = [
            (one["event_id"], one["merchant"], moment(one["occurred_at"]), _outcome(one["a"]), _outcome(one["b"]),
             ", ".join(one["differs"]))
            for one in found["examples"]
        ]  # fmt: skip
        yield _filled("Events that changed most", head, rows, left=len(head))
    if found["one_sided"]:
        alone = [
            (one["event_id"], one["merchant"], f"{one['partition']}/{one['offset']}", side_name(found, one["side"]),
             one["reason"] or "absent")
            for one in found["one_sided"]
        ]  # fmt: skip
        columns = ("event", "merchant", "partition/offset", "scored in", "on the other side")
        yield _filled("Events of one side", columns, alone, left=len(columns))


def _outcome(side: Json) -> str:
    score = "-" if side["score"] is None else f"{side['score']:.2f}"
    return f"{score} {side['decision']} by {side['decided_by']}"
