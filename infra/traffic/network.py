"""The browser population as published: a Bayesian network in a wheel. Read only; the sampling is ours.

Every node but the first depends on the user agent alone, so values that were seen together come apart (facts: 19% of
the Mac rows have an architecture that contradicts the GPU). ``infra.traffic.support`` puts them together again.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from functools import cache
from typing import Any

import apify_fingerprint_datapoints as datapoints

_MISSING = "*MISSING_VALUE*"
_JSON = "*STRINGIFIED*"

Weighted = list[tuple[Any, float]]


class Network:
    """The published network: user agents with their weights, and each node's values given a user agent."""

    def __init__(self, nodes: Mapping[str, Mapping[str, Any]]) -> None:
        self._nodes = nodes
        self._values: dict[str, Any] = {}
        self.user_agents: dict[str, float] = dict(nodes["userAgent"]["conditionalProbabilities"])

    def given(self, node: str, user_agent: str) -> Weighted:
        """Return a node's values and their weights given a user agent, parsed; None stands for a missing value."""
        table = self._nodes[node]["conditionalProbabilities"]["deeper"][user_agent]
        return [(self._parsed(text), float(weight)) for text, weight in table.items()]

    def _parsed(self, text: str) -> Any:
        if text not in self._values:
            self._values[text] = _parse(text)
        return self._values[text]


def _parse(text: str) -> Any:
    if text == _MISSING:
        return None
    return json.loads(text.removeprefix(_JSON)) if text.startswith(_JSON) else text


@cache
def load_network() -> Network:
    """Return the network of the installed package."""
    with zipfile.ZipFile(datapoints.get_fingerprint_network()) as archive:
        nodes = json.loads(archive.read("network.json"))["nodes"]
    return Network({node["name"]: node for node in nodes})
