"""Counts of dead letters: by reason, stage, merchant, day, version, state, whose fault, disposition, and by cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from infra.dead_letters import FAILED_MS, STANDING, DeadLetters, DeadLettersError, Filter
from infra.letter_clusters import CLUSTER_PARAMETERS, CLUSTER_SQL, PATTERN_SQL, STACK_SQL, Cluster
from schemas.dead_letter import REASONS, Reason

DAY_MS = 86_400_000
# What a letter is counted by, as the table says it; fault and disposition follow from the reason.
_COLUMNS: Mapping[str, str] = {
    "reason": "reason",
    "stage": "stage",
    "merchant": "merchant",
    "day": "toString(toDate(first_failed_at, 'UTC'))",
    "version": "processor",
    "state": "if(standing = '', 'new', standing)",
}
_OF_REASON = ("fault", "disposition")
CLUSTERS = "cluster"
DIMENSIONS = (*_COLUMNS, *_OF_REASON, CLUSTERS)
_AGGREGATES = """
count() AS letters, min(failed) AS oldest, max(failed) AS newest, countIf(failed >= %(day)s) AS last_day,
countIf(failed >= %(day_before)s AND failed < %(day)s) AS day_before
"""
# A payload is never read, and where letters stand only if it is asked.
_LETTERS = "SELECT {columns}, letter, {failed} AS failed FROM dead_letters FINAL WHERE {where}"
_STANDING = "SELECT l.*, w.state AS standing FROM ({letters}) AS l LEFT JOIN ({standing}) AS w ON l.letter = w.letter"
_COUNT = """
SELECT grouping({sets}), {shown}, {aggregates} FROM (SELECT {columns}, failed FROM ({source}))
GROUP BY GROUPING SETS ({each})
"""
_CLUSTERS = """
SELECT reason, stage, pattern, stack, sum(letters), min(oldest), max(newest), sum(last_day), sum(day_before),
    sum(open), length(groupUniqArrayArray(merchants)), any(detail), {cluster} AS id, count() OVER ()
FROM
(
    SELECT *, {pattern} AS pattern, {stack} AS stack FROM
    (
        SELECT reason, stage, detail, {aggregates}, groupUniqArray(merchant) AS merchants,
            countIf(letter NOT IN (SELECT letter FROM ({standing}) WHERE state = 'resolved')) AS open
        FROM ({letters}) GROUP BY reason, stage, detail
    )
)
GROUP BY reason, stage, pattern, stack HAVING startsWith(id, %(id)s) ORDER BY sum(letters) DESC, id LIMIT {most}
"""


class Count(NamedTuple):
    """How many letters share something. Times are in ms since the epoch; a day is the last 24 hours."""

    letters: int
    oldest: int
    newest: int
    last_day: int
    day_before: int

    def plus(self, other: Count) -> Count:
        """Return both together."""
        return Count(
            self.letters + other.letters,
            min(self.oldest, other.oldest),
            max(self.newest, other.newest),
            self.last_day + other.last_day,
            self.day_before + other.day_before,
        )


class ClusterCount(NamedTuple):
    """A cluster and its letters; ``open``: of those that are not resolved. ``example``: the detail of one of them."""

    cluster: Cluster
    counted: Count
    open: int
    merchants: int
    example: str


class Stats(NamedTuple):
    """Counts by dimension, most first (days: newest first)."""

    total: Count | None
    by: Mapping[str, Mapping[str, Count]]
    clusters: Sequence[ClusterCount]
    clusters_in_all: int


def letter_stats(store: DeadLetters, wanted: Filter, by: Sequence[str], now: int, clusters: int = 20) -> Stats:
    """Count letters by dimensions of DIMENSIONS; ``now`` in ms since the epoch ends the last day."""
    counted = _counted(store, wanted, by, now)
    total: Count | None = None
    for count in counted["reason"].values():
        total = count if total is None else total.plus(count)
    found, in_all = clusters_of(store, wanted, now, clusters) if CLUSTERS in by and total else ([], 0)
    return Stats(total, {name: counted[name] for name in DIMENSIONS if name in by and name in counted}, found, in_all)


def _counted(store: DeadLetters, wanted: Filter, by: Sequence[str], now: int) -> dict[str, dict[str, Count]]:
    """Count by everything in one pass; the reasons always, as the rest follows from them."""
    names = [name for name in _COLUMNS if name in by or name == "reason"]
    sql, parameters = wanted.where()
    needed = ["reason", "first_failed_at", *(name for name in ("stage", "merchant") if name in names)]
    source = _LETTERS.format(columns=", ".join([*needed, "processor"]), failed=FAILED_MS, where=sql)
    if "state" in names:
        source = _STANDING.format(letters=source, standing=STANDING)
    query = _COUNT.format(
        sets=", ".join(f"by_{name}" for name in names),
        each=", ".join(f"(by_{name})" for name in names),
        shown=", ".join(f"toString(by_{name})" for name in names),
        aggregates=_AGGREGATES,
        columns=", ".join(f"{_COLUMNS[name]} AS by_{name}" for name in names),
        source=source,
    )
    found: dict[str, dict[str, Count]] = {name: {} for name in names}
    for mask, *row in store.execute(query, {**parameters, **_days(now)}):
        place = _place(mask, len(names))
        found[names[place]][row[place]] = Count(*row[len(names) :])
    for name in _OF_REASON:
        found[name] = _of_reasons(found["reason"], name)
    return {name: _ordered(name, counts) for name, counts in found.items()}


def _days(now: int) -> dict[str, int]:
    return {"day": now - DAY_MS, "day_before": now - 2 * DAY_MS}


def _place(mask: int, width: int) -> int:
    """Return which column a row is grouped by: grouping() has a bit, from the left, for each by which it is not."""
    return width - ((1 << width) - 1 ^ int(mask)).bit_length()


def _of_reasons(reasons: Mapping[str, Count], name: str) -> dict[str, Count]:
    found: dict[str, Count] = {}
    for reason, count in reasons.items():
        value = getattr(REASONS[Reason(reason)], name) if reason in set(Reason) else "unknown to this build"
        found[value] = found[value].plus(count) if value in found else count
    return found


def _ordered(name: str, counts: Mapping[str, Count]) -> dict[str, Count]:
    if name == "day":
        return dict(sorted(counts.items(), reverse=True))
    return dict(sorted(counts.items(), key=lambda item: (-item[1].letters, item[0])))


def clusters_of(
    store: DeadLetters, wanted: Filter, now: int, most: int, id_begins: str = ""
) -> tuple[list[ClusterCount], int]:
    """Return the largest clusters, and how many there are."""
    sql, parameters = wanted.where()
    letters = _LETTERS.format(columns="reason, stage, detail, merchant", failed=FAILED_MS, where=sql)
    query = _CLUSTERS.format(
        cluster=CLUSTER_SQL, pattern=PATTERN_SQL, stack=STACK_SQL, aggregates=_AGGREGATES, standing=STANDING,
        letters=letters, most=most,
    )  # fmt: skip
    rows = store.execute(query, {**parameters, **CLUSTER_PARAMETERS, **_days(now), "id": id_begins})
    found = [_cluster_count(*row[:12]) for row in rows]
    return found, int(rows[0][-1]) if rows else 0


def _cluster_count(
    reason: str, stage: str, pattern: str, stack: str, letters: int, oldest: int, newest: int, last_day: int,
    day_before: int, still_open: int, merchants: int, example: str,
) -> ClusterCount:  # fmt: skip
    count = Count(letters, oldest, newest, last_day, day_before)
    return ClusterCount(Cluster(reason, stage, pattern, stack), count, still_open, merchants, example)


def cluster_named(store: DeadLetters, name: str, now: int) -> Cluster:
    """Return the cluster whose id is, or begins with, ``name``. DeadLettersError where it is none or more."""
    found, in_all = clusters_of(store, Filter(), now, 2, name)
    if not found:
        raise DeadLettersError(f"no dead letter is of cluster {name}; `clickgoose deadletters stats` names them")
    if in_all > 1:
        raise DeadLettersError(f"{in_all} clusters begin with {name}: give all ten digits")
    return found[0].cluster


def summary(stats: Stats) -> dict[str, Any]:
    """Return the counts as JSON has them."""
    return {
        "total": stats.total._asdict() if stats.total else Count(0, 0, 0, 0, 0)._asdict(),
        "by": {name: {value: count._asdict() for value, count in of.items()} for name, of in stats.by.items()},
        "clusters": [
            {
                "id": one.cluster.id,
                **one.cluster._asdict(),
                **one.counted._asdict(),
                "open": one.open,
                "merchants": one.merchants,
                "example": one.example,
            }
            for one in stats.clusters
        ],
        "clusters_in_all": stats.clusters_in_all,
    }
