"""The sentences of the gate."""

from __future__ import annotations

import pytest

from scoring.gate import METRICS, Condition, GateError, failures, metrics_by_family


def test_an_unknown_metric_is_refused_with_those_that_it_may_mean() -> None:
    with pytest.raises(GateError, match=r"'flips_share' is no metric; did you mean flip_share"):
        Condition.read("flips_share>0.02")
    with pytest.raises(GateError, match=r"did you mean recall_at_1pct_fpr\.delta"):
        Condition.read("recall_at_1pct.delta<-0.01")


@pytest.mark.parametrize(
    "text", ["", "flip_share", "flip_share>", ">0.1", "flip_share=0.1", "flip_share>0.1%", "a" * 500]
)
def test_what_is_no_condition_is_told_how_to_write_one(text: str) -> None:
    with pytest.raises(GateError, match=r"is no condition: write a metric, one of .* as 'flip_share>0\.02'"):
        Condition.read(text)


def test_a_condition_that_holds_says_the_value_and_what_it_must_not_be() -> None:
    conditions = [Condition.read(text) for text in ("flip_share>0.02", "pearson<0.9", "spearman < 0.9")]
    assert failures({"flip_share": 0.031, "pearson": 0.95, "spearman": 0.5}, conditions) == [
        "flip_share is 0.031, and must not be > 0.02",
        "spearman is 0.5, and must not be < 0.9",
    ]


def test_a_condition_that_may_hold_by_chance_says_so() -> None:
    values = {"pr_auc.delta": -0.02, "pr_auc.delta.low": -0.05, "pr_auc.delta.high": 0.01}
    condition = Condition.read("pr_auc.delta<-0.01")
    (said,) = failures(values, [condition])
    assert said.endswith("(its 95% interval, -0.05 to 0.01, holds values that pass)")
    (said,) = failures(values | {"pr_auc.delta.high": -0.015}, [condition])
    assert "interval" not in said
    assert failures(values, [Condition.read("pr_auc.delta.high<-0.01")]) == []


def test_the_families_of_the_help_are_all_metrics() -> None:
    names = set()
    for name, _ in metrics_by_family():
        base, bracket, sides = name.partition(".(")
        names |= {f"{base}.{side}" for side in sides.rstrip(")").split("|")} if bracket else {name}
    assert names == set(METRICS)
