"""The rows of the table ``events`` as results would tell them: the query, and what is still to be done to a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from flows.sinks.results import DECIMALS
from infra.replay_diff_sql import name
from replay.diff_rows import COUNTS
from replay.diff_told import Told, data_of

# In the order of Told.
_TOLD: Final = """
SELECT lower(hex(event_id)), lower(hex(session_id)), lower(hex(device_id)), toString(merchant), transaction,
       toString(topic), `partition`, `offset`, toUnixTimestamp64Milli(occurred_at),
       toUnixTimestamp64Milli(received_at), toUnixTimestamp64Milli(appended_at), catalogue,
       arrayStringConcat(degraded, ','),
       reinterpret([{counts}], 'String'),
       toUnixTimestamp64Milli(first_seen_at), ifNull(toUnixTimestamp64Milli(previous_at), -1),
       ifNull(toUnixTimestamp64Milli(session_started_at), -1), reinterpret(earlier_scores, 'String'),
       toString(smart_names), reinterpret(smart_results, 'String'), reinterpret(smart_confidences, 'String'),
       toString(smart_data), score, arrayStringConcat(factors, ','), arrayStringConcat(factor_texts, '\\n'),
       reinterpret(contributions, 'String'), arrayStringConcat(rules, ','), added, arrayStringConcat(tags, '\\x1f'),
       arrayStringConcat(alerts, '\\x1f'), toString(decision), toString(decided_by),
       toString(if(decided_by = 'model', decision, by_policy)),
       concat(arrayStringConcat(tried_rulesets, ','), '\\x1f', arrayStringConcat(tried_decisions, ',')),
       toString(model), toString(build), toString(ruleset), toString(policy)
FROM {events} FINAL PREWHERE {bucket} WHERE {where}
"""
TOLD: Final = _TOLD.replace("{counts}", ", ".join(f"toUInt32(ifNull({name(column)}, 0))" for column in COUNTS))
"""The query of a bucket; ``events``, ``bucket`` and ``where`` are still to be filled in."""


def told_row(row: Sequence[Any]) -> Told:
    """Return a row of ``TOLD`` with numbers as results have them."""
    one = Told(*row)
    results = np.frombuffer(one.smart_results, np.int8)
    sure = np.frombuffer(one.smart_confidences, "<f4").tolist()
    rounded = [round(value, DECIMALS) if known else np.nan for value, known in zip(sure, results >= 0, strict=True)]
    earlier = np.round(np.frombuffer(one.earlier_scores, "<f4").astype(np.float64), DECIMALS)
    return one._replace(
        smart_confidences=np.array(rounded, "<f4").tobytes(),
        smart_data=data_of(one.smart_data),
        earlier_scores=earlier.astype("<f4").tobytes(),
        score=float(np.round(np.float64(one.score), DECIMALS)),
    )
