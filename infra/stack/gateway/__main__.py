"""``python -m infra.stack.gateway --path DIR --port N``: serve the embedded ClickHouse engine on loopback."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from infra.stack.gateway.engine import Engine
from infra.stack.gateway.server import PATIENCE_SECONDS, Access, Server

PASSWORD_VARIABLE = "CLICKGOOSE_GATEWAY_PASSWORD"  # noqa: S105 -- the name of a variable


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m infra.stack.gateway", description=__doc__)
    parser.add_argument("--path", type=Path, required=True, help="data directory of the engine")
    parser.add_argument("--config", type=Path, help="ClickHouse config file, such as one with storage policies")
    parser.add_argument("--port", type=int, required=True, help="TCP port; 0 for a free one")
    parser.add_argument("--user", default="default", help=f"its password is read from ${PASSWORD_VARIABLE}")
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_SECONDS,
        help="seconds until a client that stops in a query is dropped",
    )
    parser.add_argument("--nice", type=int, default=0, help="how far to step back behind other processes, 0 to 19")
    options = parser.parse_args()
    os.nice(options.nice)  # before the engine makes its threads
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    access = Access(options.user, os.environ.pop(PASSWORD_VARIABLE, ""))
    engine = Engine(options.path, options.config)
    try:
        server = Server(engine, "127.0.0.1", options.port, access, options.patience)
    except OSError as error:
        sys.stderr.write(f"cannot listen on 127.0.0.1:{options.port}: {error.strerror}\n")
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=server.serve, daemon=True).start()
    logging.info("ClickHouse %s serves 127.0.0.1:%s", ".".join(map(str, engine.version)), server.port)
    stop.wait()
    server.close()
    engine.close()
    sys.stdout.flush()
    os._exit(0)  # the engine's own background threads would delay the end; every committed part is on disk


if __name__ == "__main__":
    sys.exit(main())
