"""The report as one HTML page: no script, nothing from elsewhere, readable in light and dark."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from scoring.pages import bars, columns, document, table, words
from scoring.pages import plots as beside
from scoring.report_plots import plots
from scoring.words import moment


def page(version: str, told: str, report: Mapping[str, Any]) -> str:
    """Return the page of a report; ``told`` says in plain words what the data is."""
    captions = {
        "roc": "Receiver operating characteristic (logarithmic)",
        "precision_recall": "Precision and recall",
        "calibration": "Calibration: predicted and happened",
        "scores": "Scores by label (logarithmic)",
    }
    parts = [
        f"<h1>{escape(version)}: report of its training</h1>",
        f"<p>{escape(told)}</p>",
        _goals(report),
        beside({captions[name]: svg for name, svg in plots(report).items()}),
        _figures(report),
        _thresholds(report),
        _attackers(report),
        _false_positives(report),
        _rests_on(report),
        _drift(report),
        _training(report),
    ]
    return document(version, parts)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _goals(report: Mapping[str, Any]) -> str:
    rows = [
        (
            words(goal["figure"]),
            f"{goal['value']:.4f}",
            f"at least {goal['least']:g}" if goal["most"] is None else f"at most {goal['most']:g}",
            '<span class="good">met</span>' if goal["met"] else '<span class="bad">missed</span>',
        )
        for goal in report["goals"]
    ]
    return "<h2>What a model that ships must reach</h2>\n" + table(("on the hold-out", "is", "goal", ""), rows)


def _figures(report: Mapping[str, Any]) -> str:
    rows = [(words(name), f"{value:g}") for name, value in report["figures"].items()]
    return "<h2>Figures of the hold-out</h2>\n" + table(("", ""), rows)


def _thresholds(report: Mapping[str, Any]) -> str:
    shown = ("precision", "recall", "false_positive_rate", "flagged")
    head = ("from score", *(name.replace("_", " ") for name in shown), "decides")
    rows = [
        (f"{one['threshold']:g}", *(_share(one[name]) for name in shown), escape(one["decides"]))
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
        + table(head, rows)
        + "\n<h2>At a rate of false positives</h2>\n"
        + table(("at most", "from score", "recall", "precision"), rates)
    )


def _attackers(report: Mapping[str, Any]) -> str:
    shown = ("review", "deny", "at_1pct_fpr")
    rows = [
        (escape(one["kind"]), str(one["events"]), *(_share(one[name]) for name in shown)) for one in report["attackers"]
    ]
    head = ("kind", "events", "at review", "at deny", "at 1% false positives")
    return "<h2>Recall by kind of attacker</h2>\n" + table(head, rows)


def _false_positives(report: Mapping[str, Any]) -> str:
    tables = [
        table(
            (f"honest, by {by}", "events", "would be reviewed"),
            [(escape(one["name"]), str(one["events"]), _share(one["false_positive_rate"])) for one in found],
        )
        for by, found in report["false_positives"].items()
    ]
    return "<h2>False positives</h2>\n" + columns(tables)


def _rests_on(report: Mapping[str, Any]) -> str:
    features = [(one["name"], one["gain"], _share(one["gain"])) for one in report["features"]]
    groups = [(one["code"], one["mean_contribution"], f"{one['mean_contribution']:.3f}") for one in report["groups"]]
    factors = report["factors"]
    said = (
        f"<p>On {factors['events']:,} flagged events of the hold-out the first factor told is that of exact TreeSHAP "
        f"in {factors['agreement']:.1%}; of the first three, {factors['top_3_overlap']:.1%} are the same. No group's "
        f"contribution differs by more than {factors['largest_difference']:g} log-odds.</p>"
    )
    tables = [
        table(("feature", "share of gain", ""), bars(features)),
        table(("factor group", "mean size, log-odds", ""), bars(groups)),
    ]
    return f"<h2>What it rests on</h2>\n{said}\n{columns(tables)}"


_MOVED_TOLD = 15


def _drift(report: Mapping[str, Any]) -> str:
    found = report["drift"]
    if found is None:
        return "<h2>Drift</h2>\n<p>There was no earlier model to compare with.</p>"
    deltas = [
        (words(name), f"{one['before']:g}", f"{one['now']:g}", f"{one['by']:+g}")
        for name, one in found["metrics"].items()
    ]
    moved = bars([(one["name"], one["psi"], f"{one['psi']:.3f}") for one in found["features"][:_MOVED_TOLD]])
    gone = ", ".join(f"<code>{escape(name)}</code>" for name in found["features_gone"][:_MOVED_TOLD]) or "none"
    return (
        f"<h2>Drift since {escape(found['since'])}</h2>\n"
        f"<p>Population stability index of the scores: {found['score_psi']:.4f}. {found['features_moved']} of "
        f"{len(found['features'])} features that it used have moved (0.25 and more); gone: {gone}.</p>\n"
        + columns([table(("", "before", "now", "by"), deltas), table(("feature", "index", ""), moved)])
    )


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
        *((words(name), f"{facts[name]:,}") for name in ("weight", "seed", "trees", "depth", "learning_rate")),
        ("features, and those that split", f"{facts['features']:,}, {facts['features_used']:,}"),
        ("parameters", escape(", ".join(f"{name} {value}" for name, value in facts["parameters"].items()))),
        ("made with", escape(", ".join(f"{name} {version}" for name, version in facts["libraries"].items()))),
    ]
    return "<h2>Training</h2>\n" + table(("", ""), rows)
