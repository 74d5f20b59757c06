"""What commands that run a dataflow share."""

from __future__ import annotations

from pathlib import Path

import typer


def numbers(text: str) -> tuple[int, ...]:
    """Return the partitions that a text names."""
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise typer.BadParameter("partitions are numbers with commas between them, as 0,1,2") from None


def say_ready(path: Path | None, ports: list[str]) -> None:
    """Write the metrics ports into a file, whole or not at all."""
    if path is not None:
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(f"{port}\n" for port in ports), "utf-8")
        temporary.replace(path)


def cause(error: BaseException) -> str:
    """Return the deepest cause's sentence: Bytewax wraps what a step raised."""
    deepest = _deepest(error)
    return f"{deepest}" or type(deepest).__name__


def ending(error: BaseException) -> int:
    """Return the exit code of a child: its parent does not start one again that stopped itself on purpose."""
    from flows.breaker import FlowStopped
    from infra.flow_processes import STOPPED

    return STOPPED if isinstance(_deepest(error), FlowStopped) else 1


def _deepest(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
