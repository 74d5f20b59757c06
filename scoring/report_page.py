"""The report as one HTML page: no script, nothing from elsewhere, readable in light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from scoring.report_plots import plots
from scoring.words import moment

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #b6bec8; --paper: #ffffff; --panel: #f4f6f8;
  --honest: #2b6cb0; --fraud: #c2410c; --good: #1a7f37; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --faint: #4b5563; --paper: #14171b; --panel: #1e2329;
  --honest: #63a4e8; --fraud: #fb923c; --good: #56d364; --bad: #ff7b72; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 66rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: 0.5rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: 0.15rem 0.9rem 0.15rem 0; text-align: right; border-bottom: 1px solid var(--faint); }
th { font-weight: 600; } th:first-child, td:first-child { text-align: left; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(28rem, 1fr)); gap: 1rem; }
figure { margin: 0; padding: 0.6rem; background: var(--panel); border-radius: 6px; }
figure svg { width: 100%; height: auto; } figcaption { font-weight: 600; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 0 2rem; }
.good { color: var(--good); } .bad { color: var(--bad); } code { font-size: 0.92em; }
.bar { display: inline-block; height: 0.6em; background: var(--honest); }
""".strip()


def page(version: str, told: str, report: Mapping[str, Any]) -> str:
    """Return the page of a report; ``told`` says in plain words what the data is."""
    drawn = plots(report)
    captions = {
        "roc": "Receiver operating characteristic (logarithmic)",
        "precision_recall": "Precision and recall",
        "calibration": "Calibration: predicted and happened",
        "scores": "Scores by label (logarithmic)",
    }
    figures = "\n".join(
        f"<figure><figcaption>{captions[name]}</figcaption>{svg}</figure>" for name, svg in drawn.items()
    )
    body = "\n".join(
        (
            f"<h1>{escape(version)}: report of its training</h1>",
            f"<p>{escape(told)}</p>",
            _goals(report),
            f'<div class="plots">{figures}</div>',
            _figures(report),
            _thresholds(report),
            _attackers(report),
            _false_positives(report),
            _rests_on(report),
            _drift(report),
            _training(report),
        )
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(version)}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are HTML."""
    first = "".join(f"<th>{escape(name)}</th>" for name in head)
    rest = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>\n<tr>{first}</tr>\n{rest}\n</table>"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _words(name: str) -> str:
    return escape(name.replace("_", " "))


def _goals(report: Mapping[str, Any]) -> str:
    rows = [
        (
            _words(goal["figure"]),
            f"{goal['value']:.4f}",
            f"at least {goal['least']:g}" if goal["most"] is None else f"at most {goal['most']:g}",
            '<span class="good">met</span>' if goal["met"] else '<span class="bad">missed</span>',
        )
        for goal in report["goals"]
    ]
    return "<h2>What a model that ships must reach</h2>\n" + _table(("on the hold-out", "is", "goal", ""), rows)


def _figures(report: Mapping[str, Any]) -> str:
    rows = [(_words(name), f"{value:g}") for name, value in report["figures"].items()]
    return "<h2>Figures of the hold-out</h2>\n" + _table(("", ""), rows)


def _thresholds(report: Mapping[str, Any]) -> str:
    columns = ("precision", "recall", "false_positive_rate", "flagged")
    head = ("from score", *(name.replace("_", " ") for name in columns), "decides")
    rows = [
        (f"{one['threshold']:g}", *(_share(one[name]) for name in columns), escape(one["decides"]))
        for one in report["thresholds"]
    ]
    rates = [
        (
            _share(one["at_most"]),
            "" if one["threshold"] is None else f"{one['threshold']:.2f}",
            _share(one["recall"]),
            _share(one["precision"]),
        )
        for one in report["at_false_positive_rates"]
    ]
    return (
        "<h2>Thresholds</h2>\n"
        + _table(head, rows)
        + "\n<h2>At a rate of false positives</h2>\n"
        + _table(("at most", "from score", "recall", "precision"), rates)
    )


def _attackers(report: Mapping[str, Any]) -> str:
    columns = ("review", "deny", "at_1pct_fpr")
    rows = [
        (escape(one["kind"]), str(one["events"]), *(_share(one[name]) for name in columns))
        for one in report["attackers"]
    ]
    head = ("kind", "events", "at review", "at deny", "at 1% false positives")
    return "<h2>Recall by kind of attacker</h2>\n" + _table(head, rows)


def _false_positives(report: Mapping[str, Any]) -> str:
    tables = [
        _table(
            (f"honest, by {by}", "events", "would be reviewed"),
            [(escape(one["name"]), str(one["events"]), _share(one["false_positive_rate"])) for one in found],
        )
        for by, found in report["false_positives"].items()
    ]
    return '<h2>False positives</h2>\n<div class="columns">' + "\n".join(tables) + "</div>"


def _bars(rows: Sequence[tuple[str, float, str]]) -> list[tuple[str, str, str]]:
    most = max((value for _, value, _ in rows), default=0.0) or 1.0
    return [
        (f"<code>{escape(name)}</code>", said, f'<span class="bar" style="width: {value / most * 8:.2f}rem"></span>')
        for name, value, said in rows
    ]


def _rests_on(report: Mapping[str, Any]) -> str:
    features = [(one["name"], one["gain"], _share(one["gain"])) for one in report["features"]]
    groups = [(one["code"], one["mean_contribution"], f"{one['mean_contribution']:.3f}") for one in report["groups"]]
    factors = report["factors"]
    said = (
        f"<p>On {factors['events']:,} flagged events of the hold-out the first factor told is that of exact TreeSHAP "
        f"in {factors['agreement']:.1%} (Saabas' contributions would give {factors['saabas']:.1%}); of the "
        f"first three, {factors['top_3_overlap']:.1%} are the same.</p>"
    )
    return (
        "<h2>What it rests on</h2>\n" + said + '\n<div class="columns">'
        + _table(("feature", "share of gain", ""), _bars(features))
        + _table(("factor group", "mean size, log-odds", ""), _bars(groups))
        + "</div>"
    )  # fmt: skip


_MOVED_TOLD = 15


def _drift(report: Mapping[str, Any]) -> str:
    found = report["drift"]
    if found is None:
        return "<h2>Drift</h2>\n<p>There was no earlier model to compare with.</p>"
    deltas = [
        (_words(name), f"{one['before']:g}", f"{one['now']:g}", f"{one['by']:+g}")
        for name, one in found["metrics"].items()
    ]
    moved = _bars([(one["name"], one["psi"], f"{one['psi']:.3f}") for one in found["features"][:_MOVED_TOLD]])
    gone = ", ".join(f"<code>{escape(name)}</code>" for name in found["features_gone"][:_MOVED_TOLD]) or "none"
    return (
        f"<h2>Drift since {escape(found['since'])}</h2>\n"
        f"<p>Population stability index of the scores: {found['score_psi']:.4f}. {found['features_moved']} of "
        f"{len(found['features'])} features that it used have moved (0.25 and more); gone: {gone}.</p>\n"
        '<div class="columns">'
        + _table(("", "before", "now", "by"), deltas)
        + _table(("feature", "index", ""), moved)
        + "</div>"
    )  # fmt: skip


def _training(report: Mapping[str, Any]) -> str:
    facts = report["training"]
    parts = facts["parts"]
    rows = [
        ("events", f"{facts['rows']:,}"),
        ("first and last event", f"{moment(facts['first'])} to {moment(facts['last'])}"),
        ("sources", escape(", ".join(f"{name} {rows:,}" for name, rows in facts["sources"].items()))),
        *(
            (name.replace("_", " "), f"{parts[name]['events']:,} events, {parts[name]['fraud']:,} of them fraud")
            for name in ("training", "validation", "hold_out")
        ),
        ("left out of validation, of known campaigns", f"{parts['left_out_of_validation']:,}"),
        ("left out of the hold-out, of known campaigns", f"{parts['left_out_of_hold_out']:,}"),
        *((_words(name), f"{facts[name]:,}") for name in ("weight", "seed", "trees", "depth", "learning_rate")),
        ("features, and those that split", f"{facts['features']:,}, {facts['features_used']:,}"),
        ("made with", escape(", ".join(f"{name} {version}" for name, version in facts["libraries"].items()))),
    ]
    return "<h2>Training</h2>\n" + _table(("", ""), rows)
