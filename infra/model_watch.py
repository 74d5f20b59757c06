"""The watch of a flow's models: it looks at the roll-out, loads what is new beside what runs, and swaps in one step.

A model that cannot be used never takes the place of one that can: what ran goes on, the reason is logged once, and the
watch tries again later, as an upload may only have been half done.
"""

from __future__ import annotations

import logging
import threading

from flows.metrics import FlowMetrics
from scoring.deployment import Deployment
from scoring.model import Model, ModelError
from scoring.registry import Registry
from scoring.rollout import Roles, Rollout
from scoring.storage import StorageAway

log = logging.getLogger("clickgoose.models")
_CLOSE_SECONDS = 1.0
_LONGEST_PAUSE = 64  # looks between two tries of a roll-out that was refused


class ModelWatch:
    """Gives the score stage its deployment, from another thread where it was started.

    ``pin`` names the one version that scores, whatever the roll-out says. ModelError where no model can be loaded.
    """

    def __init__(self, registry: Registry, metrics: FlowMetrics, seconds: float = 1.0, pin: str | None = None) -> None:
        self._registry = registry
        self._metrics = metrics
        self._seconds = seconds
        self._pin = pin
        self._tag: str | None = None  # of the roll-out that was looked at last
        self._tries = 0  # of that roll-out, since it was refused
        self._looks_left = 0  # before the next try
        self._said: set[str] = set()
        self._away = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._deployment = Deployment(registry.load(pin)) if pin else self._first()
        self._show()

    def __call__(self) -> Deployment:
        """Return the models to score the next batch with."""
        return self._deployment

    def start(self) -> None:
        """Look again and again in a thread of its own."""
        if self._pin is None:
            self._thread = threading.Thread(target=self._run, name="model-watch", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop looking. An object store that hangs does not hold up the end of the flow: its answer is not awaited."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def look(self) -> bool:
        """Look once. Return whether other models score from now on."""
        try:
            rollout, tag = self._registry.read_rollout()
            if rollout is None:
                rollout = self._registry.rollout()
        except StorageAway as away:
            self._say_away(away)
            return False
        except ModelError as refused:
            self._refuse(refused)
            return False
        self._away = False
        if tag != self._tag:
            self._tag, self._tries, self._looks_left = tag, 0, 0
            self._said.clear()
        elif not self._due():
            return False
        return self._take(rollout)

    def _run(self) -> None:
        while not self._closing.wait(self._seconds):
            try:
                self.look()
            except Exception as error:  # a bug of ours must not end the watch, nor what scores
                self._refuse(error)

    def _first(self) -> Deployment:
        """Return what the roll-out says; where its live model cannot be used, one that was live before alone."""
        rollout, self._tag = self._read_first()
        try:
            deployment, complete = self._load(rollout.roles, None)
        except ModelError as refused:
            deployment, complete = self._earlier(rollout, refused), False
        self._tries = 0 if complete else 1
        if complete and self._tag is not None:
            self._keep(rollout)
        return deployment

    def _read_first(self) -> tuple[Rollout, str | None]:
        try:
            rollout, tag = self._registry.read_rollout()
        except StorageAway as away:
            kept = self._registry.kept_rollout()
            if kept is None:
                raise
            log.warning("%s; the flow starts with the roll-out that it took last", away)
            return kept, None
        return rollout or self._registry.rollout(), tag

    def _earlier(self, rollout: Rollout, refused: ModelError) -> Deployment:
        for version in rollout.earlier():
            try:
                model = self._registry.load(version)
            except ModelError:
                continue
            self._refuse(ModelError(f"{refused}; the flow scores with {version}, which was live before"))
            self._said.add(str(refused))
            return Deployment(model)
        raise refused

    def _due(self) -> bool:
        """Return whether a roll-out that was refused is to be tried again: after 1, 2, 4, ... looks."""
        if not self._tries:
            return False
        self._looks_left -= 1
        return self._looks_left < 0

    def _take(self, rollout: Rollout) -> bool:
        before = self._deployment
        try:
            deployment, complete = self._load(rollout.roles, before)
        except ModelError as refused:
            self._refuse(refused)
            deployment, complete = before, False
        self._tries = 0 if complete else self._tries + 1
        self._looks_left = min(_LONGEST_PAUSE, 1 << min(self._tries, 16))
        if complete:
            self._said.clear()
            self._keep(rollout)
        if _same(deployment, before):
            return False
        self._deployment = deployment
        self._metrics.model_swaps.inc()
        self._show()
        log.info("models swapped", extra=roles_of(deployment))
        return True

    def _load(self, roles: Roles, running: Deployment | None) -> tuple[Deployment, bool]:
        """Return the models of the roles, and whether none is missing. ModelError where the live one cannot be used.

        A candidate or a shadow that cannot be used is left out: its events are the live model's.
        """
        ready = {model.version: model for model in models_of(running)} if running else {}
        live = ready.get(roles.live) or self._registry.load(roles.live)
        others: dict[str, Model] = {}
        for version in roles.versions()[1:]:
            try:
                others[version] = ready.get(version) or self._registry.load(version)
            except ModelError as refused:
                self._refuse(refused)
        candidate = others.get(roles.candidate.version) if roles.candidate else None
        percent = roles.candidate.percent if roles.candidate and candidate else 0.0
        shadows = tuple(others[version] for version in roles.shadows if version in others)
        return Deployment(live, candidate, percent, shadows), len(others) == len(roles.versions()) - 1

    def _keep(self, rollout: Rollout) -> None:
        """Note the roll-out for a start while the store is away; a full disk must not keep a model from scoring."""
        try:
            self._registry.keep_rollout(rollout)
        except ModelError as error:
            log.warning("the roll-out is not kept: %s", error)

    def _say_away(self, away: StorageAway) -> None:
        if not self._away:
            self._away = True
            log.warning("%s; the models that run go on", away)

    def _refuse(self, refused: Exception) -> None:
        sentence = str(refused) or type(refused).__name__
        if sentence not in self._said:
            self._said.add(sentence)
            self._metrics.model_refused.inc()
            log.error("%s", sentence)

    def _show(self) -> None:
        self._metrics.show_models(roles_of(self._deployment))


def models_of(deployment: Deployment) -> tuple[Model, ...]:
    """Return every model of a deployment."""
    candidate = (deployment.candidate,) if deployment.candidate else ()
    return (deployment.live, *candidate, *deployment.shadows)


def roles_of(deployment: Deployment) -> dict[str, list[str]]:
    """Return the versions by role: live, candidate, shadow."""
    return {
        "live": [deployment.live.version],
        "candidate": [deployment.candidate.version] if deployment.candidate else [],
        "shadow": [model.version for model in deployment.shadows],
    }


def _same(one: Deployment, other: Deployment) -> bool:
    return (roles_of(one), one.percent) == (roles_of(other), other.percent)
