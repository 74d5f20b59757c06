"""A diff as one HTML page with plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

from infra.replay_diff_words import headline, number, sentences, share, side_name, version
from schemas.result import DECISIONS
from scoring.pages import bars, columns, document, plots, table, words
from scoring.plots import FAINT, FRAUD, HONEST, INK, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MERCHANTS, _NAMES = 50, 20
Json = Mapping[str, Any]


def page(found: Json) -> str:
    """Return the page of what ``infra.replay_diff.diff`` gives."""
    title = f"{side_name(found, 'a')} and {side_name(found, 'b')}"
    grade = "good" if found["verdict"] == "identical" else "bad" if found["verdict"] == "different" else ""
    parts = [
        f"<h1>Replay diff: {escape(title)}</h1>",
        f'<p class="{grade}">{escape(headline(found))}.</p>',
        *(f"<p>{escape(sentence)}</p>" for sentence in (*sentences(found), *found["notes"])),
        *_gate(found.get("gate")),
        _versions(found),
    ]
    if found["verdict"] != "identical":
        parts += [plots(_plots(found)), _where(found), _flips(found), *_details(found), _labelled(found),
                  _missing(found), *_examples(found)]  # fmt: skip
    return document(f"Replay diff: {title}", parts)


def _gate(gate: Json | None) -> Iterator[str]:
    if gate and gate["conditions"]:
        failed = {one["condition"]: one["why"] for one in gate["failed"]}
        rows = [(escape(one), f'<span class="{"bad" if one in failed else "good"}">'
                 f"{escape(failed.get(one, 'does not hold'))}</span>") for one in gate["conditions"]]  # fmt: skip
        yield "<h2>Conditions</h2>" + table(("must not hold", ""), rows)


def _versions(found: Json) -> str:
    rows = [
        (escape(side_name(found, side)), f"<code>{escape(version(one))}</code>", f"{one['events']:,}")
        for side in ("a", "b")
        for one in found[side]["versions"]
    ]
    places = {side: found[side]["files"] or found[side]["database"] for side in ("a", "b")}
    digests = [(escape(side_name(found, side)), f"<code>{escape(places[side])}</code>",
                f"<code>{found[side]['digest']}</code>") for side in ("a", "b")]  # fmt: skip
    return (
        "<h2>Sides</h2>" + table(("side", "where", "digest of the rows"), digests)
        + table(("side", "model, build, ruleset, policy", "events"), rows)
    )  # fmt: skip


def _plots(found: Json) -> dict[str, str]:
    names = side_name(found, "a"), side_name(found, "b")
    scores, curves = found["scores"], found["labelled"]["curves"]
    drawn = {"Scores (logarithmic)": svg("scores", "Scores", lambda axes: _histograms(axes, scores, names))}
    if scores["changed"]:
        drawn["Changes of scores"] = svg("changes", "Changes", lambda axes: _changes(axes, scores["differences"]))
    if found["flips"]["flips"]:
        drawn["Decisions"] = svg("flips", "Decisions", lambda axes: _matrix(axes, found["flips"]["matrix"], names))
        parts = [one for one in found["flips"]["by_merchant"] if one["flips"]][:12]
        drawn["Flips by merchant"] = svg("merchants", "Flips by merchant", lambda axes: _merchants(axes, parts))
    if curves:
        drawn["Precision and recall, labelled events"] = svg(
            "curves", "Precision and recall", lambda axes: _curves(axes, curves, names)
        )
    return drawn


def _plain(name: str) -> str:
    """Return a text that matplotlib takes as it is: a dollar would begin a formula."""
    return name.replace("$", r"\$")[:24]


def _histograms(axes: Axes, scores: Json, names: tuple[str, str]) -> None:
    edges = scores["histogram"]["edges"]
    for side, colour, name in zip(("b", "a"), (HONEST, FRAUD), names[::-1], strict=True):
        axes.stairs(scores["histogram"][side], edges, color=colour, label=_plain(name))
    axes.set_yscale("symlog", linthresh=1)
    axes.set(xlabel="score", ylabel="events", xlim=(0, 100))
    axes.legend()


def _changes(axes: Axes, differences: Json) -> None:
    edges, counts = differences["edges"], differences["events"]
    axes.bar(range(len(counts)), counts, color=HONEST)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_xticks([place - 0.5 for place in range(len(edges))], [f"{edge:g}" for edge in edges], rotation=90)
    axes.set(xlabel="points", ylabel="events")


def _matrix(axes: Axes, matrix: Sequence[Sequence[int]], names: tuple[str, str]) -> None:
    for row, counts in enumerate(matrix):
        for column, count in enumerate(counts):
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=FRAUD if row != column else INK)
    axes.set_xticks(range(len(DECISIONS)), DECISIONS)
    axes.set_yticks(range(len(DECISIONS)), DECISIONS)
    axes.set(xlabel=_plain(names[0]), ylabel=_plain(names[1]), xlim=(-0.5, 2.5), ylim=(2.5, -0.5))


def _merchants(axes: Axes, parts: Sequence[Json]) -> None:
    shown = parts[::-1]
    stricter, milder = ([one[name] for one in shown] for name in ("stricter", "milder"))
    axes.barh(range(len(shown)), stricter, color=FRAUD, label="stricter")
    axes.barh(range(len(shown)), milder, left=stricter, color=HONEST, label="milder")
    axes.set_yticks(range(len(shown)), [_plain(one["merchant"]) for one in shown])
    axes.set(xlabel="flips")
    axes.legend()


def _curves(axes: Axes, curves: Json, names: tuple[str, str]) -> None:
    for side, colour, name in zip(("b", "a"), (HONEST, FRAUD), names[::-1], strict=True):
        across, up = zip(*curves[side]["precision_recall"], strict=True)
        axes.plot(across, up, color=colour, label=_plain(name))
    axes.plot((0, 1), (0, 0), color=FAINT, linewidth=0.4)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))
    axes.legend()


def _where(found: Json) -> str:
    rows = [
        (words(name), f"{one['events']:,}", f"{one['scores']:,}", f"{one['flips']:,}", f"{found['groups'][name]:,}")
        for name, one in found["first_difference"].items()
    ]
    head = ("differs first", "events", "changed scores", "flips", "differs at all")
    return "<h2>Where events begin to differ</h2><p>In the order of the stages.</p>" + table(head, rows)


def _flips(found: Json) -> str:
    flips, who = found["flips"], found["decided_by"]
    parts = [
        (escape(one["merchant"]), f"{one['events']:,}", f"{one['flips']:,}", share(one["share"]),
         f"{one['stricter']:,}", f"{one['milder']:,}")
        for one in flips["by_merchant"][:_MERCHANTS]
    ]  # fmt: skip
    names, matrix, of_flips = who["names"], who["matrix"], who["of_flips"]
    deciders = [
        (words(names[was]), words(names[now]), f"{matrix[was][now]:,}", f"{of_flips[was][now]:,}")
        for was in range(len(names))
        for now in range(len(names))
        if matrix[was][now]
    ]
    head = (f"decided by, {side_name(found, 'b')}", side_name(found, "a"), "events", "flips")
    merchants = ("merchant", "events", "flips", "share", "stricter", "milder")
    return "<h2>Decisions</h2>" + columns([table(merchants, parts), table(head, deciders)])


def _details(found: Json) -> Iterator[str]:
    parts = (
        ("Factors", "code", found["factors"]["events"], found["factors"]["codes"]),
        ("Smart signals", "signal", found["smart"]["events"], found["smart"]["signals"]),
        ("Rules that matched", "rule", found["rules"]["events"], found["rules"]["rules"]),
        ("Velocity counts and shared counts", "count",
         max(found["counts"]["velocity_events"], found["counts"]["shared_events"]), found["counts"]["counts"]),
    )  # fmt: skip
    for title, what, events, rows in parts:
        if not rows:
            continue
        names = [name for name in rows[0] if name != what]
        shown = rows[:_NAMES]
        weights = [sum(row[name] for name in names if isinstance(row[name], int)) for row in shown]
        cells = bars([(row[what], weight, f"{weight:,}") for row, weight in zip(shown, weights, strict=True)])
        table_rows = [
            (cell[0], *(number(row[name]) for name in names), cell[2]) for cell, row in zip(cells, shown, strict=True)
        ]
        head = (what, *(name.replace("_", " ") for name in names), "")
        yield f"<h2>{title}: {events:,} events</h2>" + table(head, table_rows)


def _labelled(found: Json) -> str:
    labelled = found["labelled"]
    if not labelled["measures"]:
        return "<h2>Labelled events</h2><p>None of both sides: what is better cannot be said.</p>"
    a, b = side_name(found, "a"), side_name(found, "b")
    rows = [(words(name), *_measured(one)) for name, one in labelled["measures"].items()]
    parts = [
        (escape(part["merchant"]), f"{part['labelled']:,}", words(name), *_measured(one))
        for part in labelled["by_merchant"]
        for name, one in part["measures"].items()
    ]
    told = f"<p>{labelled['fraud']:,} fraud, {labelled['genuine']:,} genuine. Intervals draw whole sessions.</p>"
    head = (a, b, "difference", "95% interval")
    return (
        "<h2>Labelled events</h2>" + told + table(("", *head), rows) + table(("merchant", "labelled", "", *head), parts)
    )


def _measured(one: Json) -> tuple[str, ...]:
    interval = "" if one["low"] is None else f"{one['low']:+.4f} to {one['high']:+.4f}"
    forms = (("a", ".4f"), ("b", ".4f"), ("delta", "+.4f"))
    return (*("" if one[name] is None else f"{one[name]:{form}}" for name, form in forms), interval)


def _missing(found: Json) -> str:
    other = {"only_a": ("a", "b"), "only_b": ("b", "a")}
    rows = [
        (escape(side_name(found, other[only][0])), f"<code>{escape(reason)}</code> in "
         f"{escape(side_name(found, other[only][1]))}", f"{count:,}", escape(found["reasons"].get(reason, "")))
        for only, fates in found["missing"].items()
        for reason, count in (*fates["dead_lettered"].items(), ("absent", fates["absent"]))
        if count
    ]  # fmt: skip
    letters = found["letters"]
    reasons = [
        (f"<code>{escape(reason)}</code>", *(f"{letters[side].get(reason, 0):,}" for side in ("a", "b")))
        for reason in sorted({*letters["a"], *letters["b"]})
    ]
    if not rows and not reasons:
        return ""
    head = ("reason", side_name(found, "a"), side_name(found, "b"))
    return (
        "<h2>Scored on one side only, and dead letters</h2>"
        + table(("scored in", "and", "events", "what it means"), rows) + table(head, reasons)
    )  # fmt: skip


def _examples(found: Json) -> Iterator[str]:
    if found["examples"]:
        yield "<h2>Events that changed most</h2>"
        yield table(("event", "merchant", *(side_name(found, side) for side in ("a", "b")), "differs in"), [
            (f'<a href="#event-{escape(one["event_id"])}"><code>{escape(one["event_id"])}</code></a>',
             escape(one["merchant"]), *(_outcome(one[side]) for side in ("a", "b")), escape(", ".join(one["differs"])))
            for one in found["examples"]
        ])  # fmt: skip
        yield from (_example(found, one) for one in found["examples"])
    if found["one_sided"]:
        rows = [
            (f"<code>{escape(one['event_id'])}</code>", escape(one["merchant"]), f"{one['partition']}/{one['offset']}",
             escape(side_name(found, one["side"])), escape(one["reason"] or "absent"))
            for one in found["one_sided"]
        ]  # fmt: skip
        head = ("event", "merchant", "partition/offset", "scored in", "on the other side")
        yield "<h2>Events of one side</h2>" + table(head, rows)


def _outcome(side: Json) -> str:
    score = "" if side["score"] is None else f"{side['score']:.2f}"
    return f"{score} {escape(side['decision'])} by {escape(side['decided_by'])}"


def _example(found: Json, one: Json) -> str:
    at = datetime.fromtimestamp(one["occurred_at"] / 1000, UTC).isoformat(timespec="milliseconds")
    a, b = one["a"], one["b"]
    rows: list[tuple[str, ...]] = [
        (words(name), escape(_said(a[name])), escape(_said(b[name])))
        for name in a
        if name not in ("factors", "factor_texts", "contributions")
    ]
    rows += [("factors", _factors(a), _factors(b))]
    rows += [(f"signal <code>{escape(name)}</code>", *(escape(_said(values[side])) for side in ("a", "b")))
             for name, values in one["smart"].items()]  # fmt: skip
    rows += [(f"count <code>{escape(name)}</code>", *(f"{values[side]:,}" for side in ("a", "b")))
             for name, values in one["counts"].items()]  # fmt: skip
    label = f", labelled {escape(one['label'])}" if one["label"] else ""
    return (
        f'<h2 id="event-{escape(one["event_id"])}"><code>{escape(one["event_id"])}</code></h2>'
        f"<p>{escape(one['merchant'])}, {escape(one['event_type'] or 'no type')}, {at}, partition {one['partition']}, "
        f"offset {one['offset']}{label}.</p>" + table(("", side_name(found, "a"), side_name(found, "b")), rows)
    )


def _factors(side: Json) -> str:
    said = zip(side["factors"], side["contributions"], side["factor_texts"], strict=False)
    return "<br>".join(f"{escape(code)} {adds:+.3f}: {escape(text)}" for code, adds, text in said)


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)
