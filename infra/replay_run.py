"""The composition root of a replay: names, copies of what it runs with, sources, the loop, outputs, and its record."""

from __future__ import annotations

import gc
import shutil
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from flows.breaker import FlowStopped
from flows.state_lock import StateLocked, holder_of, let_go, take_lock
from infra.compiled_loops import load_compiled_loops
from infra.flow_serving import FlowRefused, build_name, partitions_of, required
from infra.flow_sinks import writer_policies
from infra.keys import key_ring
from infra.replay_inputs import Inputs, InputsRefused, keep_inputs, load_inputs
from infra.replay_namespace import NamespaceRefused, ReplayNamespace, Stores, in_use, remove_directory
from infra.replay_pipeline import REDIS, CountsStopped, key_of, make_pipeline, make_source
from infra.replay_plan import check_readable
from infra.settings import Settings
from infra.stack.files import write_atomically
from replay.checkpoint import ReplayRefused, read_checkpoint
from replay.engine import Options, Outcome, Progress, Replay, ReplayParts
from replay.engine import pieces_of as check_plan
from replay.live_digest import LiveDigest, LiveStores, Taken
from replay.namespace import BadName, Namespace, Part, database_of
from replay.outputs import NamespaceOutput, OutputConfig
from replay.pace import Pace
from replay.parts import OutputFailed, OutputStopped, SourceFailed
from replay.plan import Plan
from replay.ranges import PlanRefused
from replay.result_files import is_full
from replay.run_record import LOCK, RecordError, Run, RunOptions, State, is_running, read_run, write_run

INPUTS: Final = "inputs"
LIVE: Final = "live.json"  # what was live before the run
_GC: Final = (50_000, 20, 100)  # nothing of the loop is freed by the collector: seldom is enough
_LOOK_SECONDS: Final = 0.5  # how often trouble is looked for
_NOTED_SECONDS: Final = 2.0  # how often the record says how far the run is


class RunRefused(Exception):
    """The run cannot begin, or not go on; the message is one sentence. Nothing was written."""


@dataclass(slots=True)
class Hooks:
    """What a user sees on the way. ``trouble``: a store that is waited for, in a few words; empty: it answers again."""

    progress: Callable[[Progress], None] = lambda _: None
    trouble: Callable[[str], None] = lambda _: None


@dataclass(slots=True)
class ReplayRun:
    """One run in this process: ``begin`` or ``resume``, then ``work``, once."""

    settings: Settings
    names: Namespace
    run: Run
    inputs: Inputs
    stop: threading.Event = field(default_factory=threading.Event)
    hooks: Hooks = field(default_factory=Hooks)
    _lock: int = -1
    _noted: float = 0.0
    _cpu_seconds: float = 0.0  # of this process in the loop

    def work(self) -> Run:
        """Run to the end, or until ``stop`` is set, and return the record of what came of it."""
        try:
            with self._recorded(), ExitStack() as open_:
                live = LiveDigest(live_stores(self.settings), self.run.plan)
                self._look_before(live)
                outcome = self._loop(open_)
                self._settle(outcome, live)
            return self.run
        finally:
            let_go(self._lock)

    def _loop(self, open_: ExitStack) -> Outcome:
        settings, plan, options = self.settings, self.run.plan, self.run.options
        made = make_pipeline(settings, self.inputs, self.names, plan, options.counts, self.stop, open_)
        output = NamespaceOutput(output_config(settings, self.names, options.into), self.stop)
        open_.callback(output.close)
        replay = Replay(
            ReplayParts(
                plan=plan,
                source=make_source(settings, plan, open_),
                pipeline=made.pipeline,
                encode=made.encode,
                output=output,
                monitor=made.monitor,
                directory=self.names.directory,
                fingerprint=f"{self.inputs.fingerprint} {options.order}",
                counts=made.counts,
                history=made.history,
                key=key_of(settings, plan, options.order, open_),
                remembers=made.remembers,
                pace=Pace(options.rate, options.speed),
                progress=self._note,
                stopping=self.stop.is_set,
                options=Options(rows=options.rows),
            )
        )
        load_compiled_loops()
        with _seldom_collected(), _watched(lambda: output.trouble or made.trouble(), self.hooks.trouble):
            began = time.process_time()
            try:
                return replay.run()
            finally:
                self._cpu_seconds = time.process_time() - began

    def _look_before(self, live: LiveDigest) -> None:
        """Read what is live, once for all attempts."""
        path = self.names.directory / LIVE
        if not path.exists():
            write_atomically(path, msgspec.json.encode(live.take()))

    def _settle(self, outcome: Outcome, live: LiveDigest) -> None:
        before = msgspec.json.decode((self.names.directory / LIVE).read_bytes(), type=Taken)
        self._write(
            state=State.DONE if outcome.finished else State.PAUSED,
            account=outcome.account,
            seconds=self.run.seconds + outcome.seconds,
            cpu_seconds=self.run.cpu_seconds + self._cpu_seconds,
            ended_at=_now() if outcome.finished else 0,
            live=live.compared(before),
        )

    def _note(self, now: Progress) -> None:
        self.hooks.progress(now)
        if time.monotonic() - self._noted > _NOTED_SECONDS:
            self._noted = time.monotonic()
            self._write(account=now.account)

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        """Keep in the record how it ends. RunRefused, as before it began, where the engine refuses to go on."""
        before, began = self.run, time.monotonic()
        self._write(state=State.RUNNING, sentence="")
        try:
            yield
        except (OutputStopped, CountsStopped):
            self._end(State.PAUSED, "", began)
        except (FlowRefused, ReplayRefused) as error:
            self.run = before
            write_run(self.names.directory, before)
            raise RunRefused(str(error)) from error
        except (SourceFailed, OutputFailed, FlowStopped) as error:
            self._end(State.FAILED, str(error), began)
        except OSError as error:
            full = is_full(error)
            place = f"the disk of {self.names.directory} is full: make room and go on with --resume"
            self._end(State.FAILED, place if full else f"the replay stopped: {error}", began)
            if not full:
                raise
        except BaseException as error:
            self._end(State.FAILED, f"the replay stopped: {str(error) or type(error).__name__}", began)
            raise

    def _end(self, state: State, sentence: str, began: float) -> None:
        """Note what the last checkpoint says: all that is newer comes again."""
        checkpoint = None
        with suppress(ReplayRefused):
            checkpoint = read_checkpoint(self.names.directory)
        changes: dict[str, Any] = {"account": checkpoint.account} if checkpoint else {}
        with suppress(OSError):  # of a full disk: what is kept says that it runs, and so that it was killed
            self._write(state=state, sentence=sentence, seconds=self.run.seconds + time.monotonic() - began, **changes)

    def _write(self, **changes: Any) -> None:
        self.run = msgspec.structs.replace(self.run, changed_at=_now(), **changes)
        write_run(self.names.directory, self.run)


def begin(settings: Settings, plan: Plan, options: RunOptions, on_inputs: Callable[[Inputs], None]) -> ReplayRun:
    """Make the names of a new run, with copies of all that it runs with; RunRefused, and nothing is left."""
    with said_plainly(), tempfile.TemporaryDirectory(prefix="clickgoose-replay-") as scratch:
        names = namespace_of(settings, plan.name)
        _check_new(names)
        check_plan(plan, options.rows)
        key_ring(settings)
        place = ReplayNamespace(names, stores_of(settings, options))
        if found := place.found():
            raise RunRefused(in_use(plan.name, found))
        check_readable(plan, settings)
        keep_inputs(settings, options, Path(scratch))
        inputs = load_inputs(settings, Path(scratch))
        on_inputs(inputs)
        run = Run(
            plan.name, uuid.uuid4().hex, State.PLANNED, plan, options, inputs.versions, socket.gethostname(),
            begun_at=_now(), changed_at=_now(),
        )  # fmt: skip
        lock = _make_directory(names)
        try:
            shutil.copytree(scratch, names.directory / INPUTS)
            write_run(names.directory, run)
            place.create(run.id, _partitions(settings, plan))
        except BaseException:
            remove_directory(names.directory)
            let_go(lock)
            raise
        return ReplayRun(settings, names, run, inputs, _lock=lock)


def resume(settings: Settings, name: str) -> ReplayRun:
    """Take a run up again, with what it was begun with; RunRefused where that cannot be."""
    with said_plainly():
        names = namespace_of(settings, name)
        run = read_run(names.directory)
        lock = lock_of(names.directory)
        try:
            run = read_run(names.directory)  # whoever had the lock until now may have changed it
            if run.state is State.DONE:
                raise RunRefused(f"the replay {name} is done: `clickgoose replay show {name}` shows what came of it")
            inputs = load_inputs(settings, names.directory / INPUTS)
            place = ReplayNamespace(names, stores_of(settings, run.options))
            if run.state is State.PLANNED:  # killed while its names were made
                place.drop()
                place.create(run.id, _partitions(settings, run.plan))
            _check_owner(place, run)
        except BaseException:
            let_go(lock)
            raise
        return ReplayRun(settings, names, msgspec.structs.replace(run, resumed=run.resumed + 1), inputs, _lock=lock)


def drop(settings: Settings, name: str, on_keys: Callable[[int], None] = lambda _: None) -> list[str]:
    """Remove all that a run wrote; return what was there. RunRefused where it runs, or is not kept here."""
    with said_plainly():
        names = namespace_of(settings, name)
        if not names.directory.is_dir():
            raise RunRefused(f"there is no replay {name} here: `clickgoose replay list` names them")
        lock = lock_of(names.directory)
        try:
            said = ReplayNamespace(names, every_store(settings)).drop(on_keys)
            remove_directory(names.directory)
        finally:
            let_go(lock)
        return [*said, f"directory {names.directory}"]


def namespace_of(settings: Settings, name: str) -> Namespace:
    """Return the names of a run; BadName where none can be called so."""
    database = database_of(settings.clickhouse.url) if settings.clickhouse.url else ""
    return Namespace.of(name, live_database=database, home=settings.home.absolute())


def stores_of(settings: Settings, options: RunOptions) -> Stores:
    """Return where a run writes; FlowRefused where an address is missing."""
    parts = frozenset(options.into) | ({Part.REDIS} if options.counts == REDIS else frozenset())
    return Stores(
        required(settings.kafka.bootstrap, "CLICKGOOSE_KAFKA__BOOTSTRAP") if Part.KAFKA in parts else "",
        required(settings.redis.url, "CLICKGOOSE_REDIS__URL") if Part.REDIS in parts else "",
        required(settings.clickhouse.url, "CLICKGOOSE_CLICKHOUSE__URL") if Part.CLICKHOUSE in parts else "",
        settings.kafka,
    )


def every_store(settings: Settings) -> Stores:
    """Return all that are known."""
    return Stores(
        settings.kafka.bootstrap or "", settings.redis.url or "", settings.clickhouse.url or "", settings.kafka
    )


def live_stores(settings: Settings) -> LiveStores:
    """Return where what is live lies."""
    return LiveStores(settings.kafka.bootstrap or "", settings.redis.url or "", settings.clickhouse.url or "")


def output_config(settings: Settings, names: Namespace, into: tuple[Part, ...]) -> OutputConfig:
    """Return how a run writes."""
    quick, bulk = writer_policies(settings.flow)
    stores = every_store(settings)
    return OutputConfig(
        names, frozenset(into), stores.kafka, stores.redis, stores.clickhouse,
        settings.redis.result_ttl_seconds, quick, bulk, build_name(),
    )  # fmt: skip


def lock_of(directory: Path) -> int:
    """Take a run for this process; RunRefused where another one works on it."""
    place = directory / LOCK
    place.mkdir(exist_ok=True)
    try:
        return take_lock(place)
    except StateLocked:
        raise RunRefused(
            f"the replay {directory.name} is being worked on by process {holder_of(place) or 'unknown'}: "
            "stop that, or choose another name"
        ) from None


def _check_new(names: Namespace) -> None:
    if names.directory.exists():
        if is_running(names.directory):
            raise RunRefused(f"the namespace {names.name} is in use by a replay that runs: choose another name")
        with suppress(RecordError):
            if read_run(names.directory).state is not State.DONE:
                raise RunRefused(
                    f"the namespace {names.name} is in use by a replay that is not done: go on with "
                    f"`clickgoose replay run {names.name} --resume`, or choose another name"
                )
        raise RunRefused(
            f"the namespace {names.name} is in use by a replay that is done: choose another name, or run "
            f"`clickgoose replay drop {names.name} --yes` first"
        )


def _make_directory(names: Namespace) -> int:
    names.directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        names.directory.mkdir(mode=0o700)
    except FileExistsError:
        raise RunRefused(f"the namespace {names.name} is in use by a replay that has just begun") from None
    return lock_of(names.directory)


def _check_owner(place: ReplayNamespace, run: Run) -> None:
    owner = place.owner()
    if owner is not None and owner.get("run") != run.id:
        raise RunRefused(in_use(run.name, [f"keys {place.names.prefix}*"]))


def _partitions(settings: Settings, plan: Plan) -> int:
    """Return as many partitions as the topic of the events has."""
    if settings.kafka.bootstrap is None:
        return settings.kafka.partitions
    try:
        return len(partitions_of(settings.kafka.bootstrap, plan.topic))
    except FlowRefused:  # it is gone: what is replayed comes from the archive
        return max(settings.kafka.partitions, max(plan.partitions) + 1)


@contextmanager
def said_plainly() -> Iterator[None]:
    """Turn what is refused into RunRefused."""
    try:
        yield
    except (BadName, RecordError, NamespaceRefused, InputsRefused, FlowRefused, ReplayRefused) as error:
        raise RunRefused(str(error)) from error
    except (PlanRefused, ValueError) as error:
        raise RunRefused(str(error)) from error
    except OSError as error:
        raise RunRefused(f"{error.filename or 'the disk'} cannot be written: {error.strerror or error}") from error


@contextmanager
def _watched(trouble: Callable[[], str], tell: Callable[[str], None]) -> Iterator[None]:
    """Tell what is waited for while the loop waits for it: in a thread, as the loop itself says nothing then."""
    ended = threading.Event()

    def watch() -> None:
        said = ""
        while not ended.wait(_LOOK_SECONDS):
            if (now := trouble()) != said:
                tell(now)
                said = now

    watching = threading.Thread(target=watch, name="replay-trouble", daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Leave what is loaded, and what the loop makes, alone: it is freed as soon as nobody has it."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _now() -> int:
    return time.time_ns() // 1_000_000
