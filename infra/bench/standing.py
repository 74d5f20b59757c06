"""The tables of "Where it stands" in docs/performance.md, made of what the tool printed.

    clickgoose bench pair --json > pair.json
    clickgoose bench pipeline --processes 2 --scaling --json > scaling.json
    clickgoose bench pipeline --batch 64 --batch 256 --json > batches.json
    python -m infra.bench.standing pair.json scaling.json batches.json

writes them between the marks of the page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

PAGE: Final = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN: Final = "<!-- figures: python -m infra.bench.standing -->"
END: Final = "<!-- /figures -->"


def standing(pair: Mapping[str, Any], pipelines: Sequence[Mapping[str, Any]]) -> str:
    """Return the tables of a report of ``bench pair``, and of those of ``bench pipeline`` with several runs each."""
    where = pair["machine"]
    loads = [one["machine"]["load"] for one in (pair, *pipelines)]
    head = (
        f"{where['cpu']}, {where['cores']} cores, load {min(loads)} to {max(loads)}, Python {where['python']}, commit "
        f"{where['commit']}; {max(one['events'] for one in pipelines):,} full-size events at the most."
    )
    runs = [
        f"| {label} | {one['batch']} | {one['events_per_s']:,.0f} | {one['cpu_us_per_event']:.1f} | "
        f"{one['rss_peak_mb']:,.0f} |"
        for pipeline in pipelines
        for label, one in pipeline["runs"].items()
    ]
    ratios = {name: value for one in (pair, *pipelines) for name, value in one["ratios"].items()}
    paired = pair["runs"]
    return "\n".join(
        (
            head,
            "",
            "| pipeline | batch | events/s | CPU µs/event | MiB of all processes |",
            "| --- | --- | --- | --- | --- |",
            *runs,
            "",
            "| ratio | |",
            "| --- | --- |",
            *(f"| {name.replace('_', ' ')} | {value:.2f} |" for name, value in ratios.items()),
            "",
            *_parts("floor, in turn with the pipeline in one process", paired["floor"]),
            "",
            *_parts("pipeline, the same", paired["pipeline"]),
        )
    )


def _parts(title: str, report: Mapping[str, Any]) -> Sequence[str]:
    stages = report["cpu_us_per_event_of_stages"]
    names = " | ".join((title, "all", *stages))
    values = " | ".join(f"{us:.1f}" for us in (report["cpu_us_per_event"], *stages.values()))
    return f"| {names} |", "| " + " | ".join(["---"] * (len(stages) + 2)) + " |", f"| CPU µs/event | {values} |"


def put(page: str, tables: str) -> str:
    """Return the page with the tables between the marks; ValueError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


def main(paths: Sequence[str]) -> None:
    """Write the page anew."""
    pair, *pipelines = (json.loads(Path(path).read_text("utf-8")) for path in paths)
    PAGE.write_text(put(PAGE.read_text("utf-8"), standing(pair, pipelines)), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
