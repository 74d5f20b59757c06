"""Running a stack until it is told to stop: in the foreground, or as a process of its own for ``up --detach``."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from infra.stack.child import StackError, last_line
from infra.stack.files import told_plainly
from infra.stack.guard import BoundedLog
from infra.stack.home import claim, holder_of
from infra.stack.local import LocalStack

Say = Callable[[str], None]
_LOG_BYTES = 5 * 1024 * 1024
_STOP_SECONDS = 60.0


def run(stack: LocalStack, on_ready: Callable[[], None]) -> None:
    """Start, report, and stay until SIGINT or SIGTERM; a stack that cannot go on is a :class:`StackError`."""
    stop = threading.Event()
    with _signals(stop):
        try:
            _start_unless(stop, stack)
            if not stop.is_set():
                on_ready()
            while not stop.is_set() and not stack.wait(0.2):
                pass
        finally:
            stack.stop()
    if stack.failed:
        raise StackError(stack.failed)


@contextlib.contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """Let SIGINT and SIGTERM ask for the stop, and a second one change nothing."""
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start_unless(stop: threading.Event, stack: LocalStack) -> None:
    """Start in a thread, so that a signal during a long download or start is heard."""
    failure: list[BaseException] = []

    def start() -> None:
        try:
            stack.start()
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=start, name="stack-start", daemon=True)
    thread.start()
    while thread.is_alive() and not stop.is_set():
        thread.join(0.1)
    if stop.is_set():
        stack.cancel()
        thread.join(_STOP_SECONDS)
        return
    if failure:
        raise failure[0]


def detach(home: Path, kafka: str | None, say: Say) -> None:
    """Start a supervisor of its own and return when the stack is ready."""
    log = home / "logs" / "supervisor.log"
    with told_plainly(home):
        claim(home)
    report, report_end = os.pipe()
    argv = [sys.executable, "-m", "infra.stack.supervisor", "--home", str(home), "--report", str(report_end)]
    root = str(Path(__file__).parent.parent.parent)
    try:
        process = subprocess.Popen(
            [*argv, *(["--kafka", kafka] if kafka else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(report_end,),
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))},
        )
    finally:
        os.close(report_end)
    with os.fdopen(report, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            word, _, rest = line.rstrip("\n").partition(" ")
            if word == "ready":
                return
            if word == "failed":
                process.wait(_STOP_SECONDS)
                raise StackError(rest)
            say(rest)
    code = process.wait(_STOP_SECONDS)
    raise StackError(f"The supervisor ended with code {code}. Its log is {log} and ends: {last_line(log)}")


def bring_down(home: Path) -> bool:
    """Stop a home's stack from another process; false if none runs."""
    holder = holder_of(home)
    process = holder.process() if holder else None
    if process is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    end = time.monotonic() + _STOP_SECONDS
    while holder_of(home) is not None and holder is not None and holder.process() is not None:
        if time.monotonic() > end:
            process.kill()
            process.wait(10)
            break
        time.sleep(0.05)
    return True


class _Report:
    """Tells the waiting ``up --detach`` and the log; the waiting side may be gone."""

    def __init__(self, fd: int, home: Path) -> None:
        self._fd = fd
        with told_plainly(home):
            (home / "logs").mkdir(parents=True, exist_ok=True)
        self._log = BoundedLog(home / "logs" / "supervisor.log", _LOG_BYTES)

    def tell(self, word: str, rest: str = "") -> None:
        """Send one line."""
        sentence = " ".join(rest.split())
        self._log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {word} {sentence}\n".encode())
        with contextlib.suppress(OSError):
            os.write(self._fd, f"{word} {sentence}\n".encode())


def main() -> int:
    """Run detached: ``python -m infra.stack.supervisor --home DIR --report FD``."""
    parser = argparse.ArgumentParser(prog="python -m infra.stack.supervisor", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--report", type=int, required=True)
    parser.add_argument("--kafka", choices=("auto", "apache", "tansu"))
    options = parser.parse_args()
    os.set_inheritable(options.report, False)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        report = _Report(options.report, options.home)
    except StackError as error:
        os.write(options.report, f"failed {error}\n".encode())
        return 1
    overrides = {"stack": {"kafka": options.kafka}} if options.kafka else {}
    stack = LocalStack(options.home, say=lambda sentence: report.tell("say", sentence), **overrides)

    def ready() -> None:
        report.tell("ready")
        os.close(options.report)

    try:
        run(stack, ready)
    except StackError as error:
        report.tell("failed", str(error))
        return 1
    except Exception as error:
        report.tell("failed", f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
