"""One run: start everything, send traffic, watch, stop, and read the account back."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from infra.account import Account, read_start, wait_settled
from infra.clickhouse.migrate import migrate
from infra.live.view import Looker, Seen, render
from infra.stack.child import ChildProcess, StackError
from infra.stack.local import LocalStack
from infra.stack.ports import Ports

_READY_SECONDS = 60.0
_SETTLE_SECONDS = 120.0
_REFRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user asked for."""

    home: Path
    seconds: float | None
    rate: float
    seed: int
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the run ended."""

    account: Account
    seen: Seen
    traffic: dict[str, Any]
    seconds: float

    @property
    def balanced(self) -> bool:
        """Return whether every accepted event is accounted for, everywhere."""
        return self.account.balanced

    def report(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints."""
        account = self.account
        return {
            "accepted": account.accepted,
            "scored": account.scored,
            "dead_lettered": account.dead_lettered,
            "deduplicated": account.deduplicated,
            "lost": account.lost,
            "events_per_s": round(account.accepted / self.seconds, 1),
            "latency_ms": account.latency_ms,
            "balanced": account.balanced,
            "problems": account.problems,
            "dead_by_reason": account.dead_by_reason,
            "decisions": account.decisions,
            "score_histogram": account.score_histogram,
            "seconds": round(self.seconds, 1),
            "traffic": self.traffic,
        }


def run(plan: Plan, stopping: threading.Event, say: Callable[[str], None]) -> Outcome:
    """Run until the time is over or ``stopping`` is set. StackError says what could not be started."""
    with LocalStack(plan.home, say=say) as stack, tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        migrate(stack.clickhouse_url)
        start = read_start(stack.bootstrap)
        ingest = stack.add(ingest_child(stack, work), _READY_SECONDS)
        url = (work / "ingest.url").read_text("utf-8").strip()
        say(f"ingest tier on {url}, process {ingest.pid}")
        stack.add(flow_child(stack, work), _READY_SECONDS)
        stack.add(record_child(stack, work), _READY_SECONDS)
        port = Ports(plan.home / "ports.json").choose("demo-shop")  # the link of last time, also after a restart
        shop = stack.add(shop_child(stack, work, url, "--port", str(port)), _READY_SECONDS)
        link = (work / "demo-shop.url").read_text("utf-8").strip()
        say(f"demo shop on {link}: buy a goose there and see how the payment is scored")
        began = time.time()
        traffic = stack.add(_traffic(stack, work, plan, url), _READY_SECONDS, restart=False)
        addresses = {"demo shop": link, "ingest": url, "kafka": stack.bootstrap, "home": str(plan.home.absolute())}
        looker = Looker(stack.clickhouse_url, int(began * 1000))
        seen = _watch(plan, traffic, looker, work, addresses, stopping)
        seconds = time.time() - began
        if traffic.exit_code and not _stats(work).get("ok"):
            raise StackError(f"the traffic generator ended without one accepted event. {traffic.hint()}")
        stack.remove(traffic)
        stack.remove(shop)
        say("traffic has stopped; waiting until the flow has caught up")
        account = wait_settled(stack.settings, start, _SETTLE_SECONDS, work / "accepted.hex")
        return Outcome(account, looker.look() or seen, _stats(work), seconds)


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "infra.cli", *words]


def ingest_child(stack: LocalStack, work: Path) -> ChildProcess:
    """Return the ingest tier as a process; it writes its URL to ``work/ingest.url`` once it serves."""
    port_file = work / "ingest.url"
    return ChildProcess(
        "ingest",
        _command("ingest", "serve", "--port-file", str(port_file)),
        log=stack.log("ingest"),
        env={**stack.env(), "CLICKGOOSE_INGEST__TRUSTED_PROXIES": '["127.0.0.1/32"]'},
        probe=port_file.exists,  # written once requests are served
    )


def flow_child(stack: LocalStack, work: Path) -> ChildProcess:
    """Return the flow as a process; it writes ``work/flow.ready`` once it reads."""
    ready = work / "flow.ready"
    return ChildProcess(
        "flow",
        _command("flow", "run", "--ready-file", str(ready)),
        log=stack.log("flow"),
        env=stack.env(),
        grace=30.0,
        probe=ready.exists,
    )


def record_child(stack: LocalStack, work: Path) -> ChildProcess:
    """Return the recording of decisions as a process; it writes ``work/record.ready`` once it reads."""
    ready = work / "record.ready"
    return ChildProcess(
        "record",
        _command("flow", "record", "--ready-file", str(ready)),
        log=stack.log("record"),
        env=stack.env(),
        grace=30.0,
        probe=ready.exists,
    )


def shop_child(stack: LocalStack, work: Path, url: str, *words: str, name: str = "demo-shop") -> ChildProcess:
    """Return a demo shop as a process; it writes its URL to ``work/<name>.url`` once it serves."""
    port_file = work / f"{name}.url"
    return ChildProcess(
        name,
        _command("demo-shop", "--url", url, "--port-file", str(port_file), *words),
        log=stack.log(name),
        env=stack.env(),
        probe=port_file.exists,
    )


def _traffic(stack: LocalStack, work: Path, plan: Plan, url: str) -> ChildProcess:
    words = ["traffic", "--rate", str(plan.rate), "--seed", str(plan.seed), "--url", url]
    words += ["--accepted-ids", str(work / "accepted.hex"), "--stats-file", str(work / "traffic.json")]
    if plan.seconds is not None:
        words += ["--for", f"{plan.seconds}s"]
    return ChildProcess(
        "traffic",
        _command(*words),
        log=stack.log("traffic"),
        env=stack.env(),
        grace=30.0,
        probe=(work / "traffic.json").exists,
    )


def _watch(
    plan: Plan,
    traffic: ChildProcess,
    looker: Looker,
    work: Path,
    addresses: dict[str, str],
    stopping: threading.Event,
) -> Seen:
    """Draw the live table until the traffic ends or the user stops it."""
    began = time.monotonic()
    seen = Seen()
    console = Console(stderr=True, quiet=plan.quiet)
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        while traffic.running and not stopping.wait(_REFRESH_SECONDS):
            seen = looker.look()
            live.update(render(seen, time.monotonic() - began, _offered(_stats(work)), addresses))
    return seen


def _stats(work: Path) -> dict[str, Any]:
    """Return what the traffic process last said of itself."""
    try:
        found = json.loads((work / "traffic.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _offered(stats: dict[str, Any]) -> dict[str, float]:
    names = {"offered": "events offered", "ok": "accepted", "retry": "to be retried", "drop": "dropped by ingest"}
    return {title: float(stats[name]) for name, title in names.items() if name in stats}
