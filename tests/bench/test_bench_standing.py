"""docs/performance.md: its figures have the form of what the tool prints."""

from __future__ import annotations

import pytest

from infra.bench.measure import ProcessFigures, combined
from infra.bench.standing import BEGIN, END, PAGE, put, standing
from infra.cli.bench_flow import MEASURED_ALONE, STAGES


def report(name: str, cpu_seconds: float) -> dict[str, object]:
    return combined(name, 256, 1_000, 0.05, [ProcessFigures(name, 1_000, cpu_seconds, 300.0)]).report()


def tables() -> str:
    floor, pipeline = report("floor", 0.04), report("pipeline", 0.06)
    for found, stages in ((floor, ("decrypt", "score")), (pipeline, STAGES)):
        found["cpu_us_per_event_of_stages"] = dict.fromkeys(stages, 1.5)
    pair = {**pipeline, "runs": {"floor": floor, "pipeline": pipeline}, "ratios": {"pipeline_to_floor": 1.5}}
    several = {**pipeline, "runs": {"1 process": pipeline}, "ratios": {"rate_of_2_processes_to_1": 1.9}}
    return standing(pair, [several])


def test_the_tables_say_rates_ratios_and_every_stage() -> None:
    written = tables()
    assert "| 1 process | 256 | 20,000 | 60.0 | 300 |" in written
    assert "| pipeline to floor | 1.50 |" in written
    assert "| rate of 2 processes to 1 | 1.90 |" in written
    assert all(f"| {stage} |" in written for stage in STAGES)


def test_the_tables_go_between_the_marks_and_nowhere_else() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert put(page, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    with pytest.raises(ValueError, match="lacks the marks"):
        put("nothing", "new")


def test_the_page_has_the_figures_of_todays_stages() -> None:
    between = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    (line,) = [line for line in between.splitlines() if line.startswith("| pipeline, the same |")]
    named = [cell.strip() for cell in line.strip("|").split("|")]
    assert named[1] == "all"
    assert set(MEASURED_ALONE) <= set(named[2:])
    assert "| pipeline to floor |" in between
