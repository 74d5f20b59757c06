"""Ports on loopback: chosen once, kept in the home, used again where they are free."""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path

from infra.stack.child import StackError
from infra.stack.files import write_atomically

HOST = "127.0.0.1"
# Below the range from which the kernel takes the ports of outgoing connections, so that none of those takes ours.
_FIRST, _LAST = 20_000, 32_000


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(taken: set[int]) -> int:
    """Return a free port that is not in ``taken``."""
    picker = random.SystemRandom()
    for _ in range(500):
        port = picker.randint(_FIRST, _LAST)
        if port not in taken and is_free(port):
            return port
    raise StackError(f"No free port between {_FIRST} and {_LAST} on {HOST}.")


class Ports:
    """The ports of one home."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            kept = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            kept = {}
        self._kept = {name: port for name, port in kept.items() if isinstance(port, int)}

    def choose(self, name: str, fixed: int = 0, setting: str = "") -> int:
        """Return the fixed port if one is set, else the one of last time if it is free, else a new one."""
        if fixed:
            if not is_free(fixed):
                raise StackError(f"Port {fixed} for {name} is in use: free it, or change or unset {setting}.")
            return fixed
        port = self._kept.get(name, 0)
        if not port or not is_free(port):
            port = free_port(set(self._kept.values()))
            self._kept[name] = port
            write_atomically(self._path, json.dumps(self._kept, indent=1))
        return port
