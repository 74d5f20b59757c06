"""A bare FastAPI endpoint that reads a body: ``python -m infra.bench.bare URL_FILE`` serves it until SIGTERM."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request


def main() -> None:
    """Serve."""
    app = FastAPI()

    @app.post("/v1/events")
    async def bare(request: Request) -> dict[str, list[dict[str, str]]]:
        await request.body()
        return {"results": [{"status": "ok", "reason": "appended"}]}

    bound = socket.create_server(("127.0.0.1", 0), backlog=2_048)
    config = uvicorn.Config(app, loop="uvloop", http="httptools", ws="none", log_config=None, access_log=False)
    path = Path(sys.argv[1])
    fresh = path.with_suffix(".new")
    fresh.write_text(f"http://127.0.0.1:{bound.getsockname()[1]}\n", "utf-8")
    fresh.replace(path)
    uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main()
