"""The policies that a process decides by: those of its file, taken anew when it changes, or each model's own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol

from prometheus_client import Counter, Gauge

from infra.file_watch import FileWatch
from infra.policies_file import parse_policies
from scoring.policy import Policies

log = logging.getLogger("clickgoose.policies")


class PoliciesRefused(ValueError):
    """The policies file cannot be used; the text is one sentence."""


class PolicyMetrics(Protocol):
    """What is told of the policies."""

    @property
    def policies_loads(self) -> Counter:
        """Changes of the file, by outcome."""

    @property
    def policies_refused(self) -> Gauge:
        """1 while the file as it is now cannot be used."""

    def show_policies(self, digest: str) -> None:
        """State which policies decide."""


class WatchedPolicies:
    """Gives whoever decides the policies. PoliciesRefused where the file cannot be used at the start."""

    def __init__(self, path: Path | None, metrics: PolicyMetrics) -> None:
        self._path = path
        self._metrics = metrics
        self._watch = None if path is None else self._open(path)
        metrics.show_policies(self().digest)

    def __call__(self) -> Policies:
        """Return the policies to decide the next batch, or event, by."""
        return _OWN if self._watch is None else self._watch()

    def start(self) -> None:
        """Look at the file again and again in a thread of its own."""
        if self._watch is not None:
            self._watch.start()

    def close(self) -> None:
        """Stop looking."""
        if self._watch is not None:
            self._watch.close()

    def _open(self, path: Path) -> FileWatch[Policies]:
        def parse(data: bytes) -> Policies:
            return parse_policies(data, str(path))

        try:
            return FileWatch(path, parse, self._taken, self._refused)
        except OSError as error:
            reason = error.strerror or error
            raise PoliciesRefused(
                f"the policies file {path} cannot be read ({reason}): name one, or unset it"
            ) from None
        except ValueError as error:
            raise PoliciesRefused(str(error)) from None

    def _taken(self, policies: Policies) -> None:
        self._metrics.policies_loads.labels("taken").inc()
        self._metrics.policies_refused.set(0)
        self._metrics.show_policies(policies.digest)
        log.info("policies taken", extra={"policy": policies.digest})

    def _refused(self, sentence: str) -> None:
        self._metrics.policies_loads.labels("refused").inc()
        self._metrics.policies_refused.set(1)
        log.error("%s; the policies of before go on", sentence)


_OWN = Policies()
