"""``GET /agent/...``: the browser agent's scripts, which any page of any origin may load."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ingest_api.agent_bundle import MANIFEST, NOTICE, PREFIX_DIGITS, SCRIPT_TYPE, SCRIPTS, ServedFile
from ingest_api.direct import RawRoute
from ingest_api.documented import Responses, errors, success
from ingest_api.errors import ApiError, Code
from ingest_api.models import AgentManifest
from ingest_api.parts import Parts

# A changed agent reaches pages within minutes; a browser that has a copy shows it at once, even while we are away.
_SOON = "public, max-age=300, stale-while-revalidate=86400, stale-if-error=86400"
_FOR_GOOD = "public, max-age=31536000, immutable"
_ANY_PAGE = {
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "timing-allow-origin": "*",
    "vary": "accept-encoding",
}
_TEXT = {"schema": {"type": "string"}}
_SCRIPT_DOC: Responses = {
    200: {"description": "The file", "content": {SCRIPT_TYPE.partition(";")[0]: _TEXT, "text/plain": _TEXT}},
    304: {"description": "The file is the one that If-None-Match names"},
}


def agent_router(parts: Parts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(route_class=RawRoute)

    async def newest(request: Request) -> Response:
        return _answer(request, _file(parts, request.path_params["file"]), _SOON)

    async def manifest(request: Request) -> Response:
        return _answer(request, _file(parts, MANIFEST), _SOON)

    async def pinned(request: Request) -> Response:
        file = _file(parts, request.path_params["file"])
        if request.path_params["prefix"] != file.prefix:
            raise ApiError(Code.NOT_FOUND)
        return _answer(request, file, _FOR_GOOD)

    manifest_doc: Responses = {
        **success(200, AgentManifest, "Version, paths, hashes and sizes"),
        304: {"description": "The manifest is the one that If-None-Match names"},
        **errors(),
    }
    script_doc: Responses = {**_SCRIPT_DOC, **errors(Code.NOT_FOUND)}
    for path, function, summary, documented, parameters in (
        ("/agent/manifest.json", manifest, "Which agent is served", manifest_doc, []),
        ("/agent/{file}", newest, "The newest agent", script_doc, [_FILE]),
        ("/agent/{prefix}/{file}", pinned, "One agent, for good", script_doc, [_PREFIX, _FILE]),
    ):
        # The first of the two answers; OpenAPI wants GET by itself.
        router.add_api_route(path, function, methods=["GET", "HEAD"], include_in_schema=False)
        router.add_api_route(
            path,
            function,
            methods=["GET"],
            summary=summary,
            response_class=Response,
            responses=documented,
            openapi_extra={"parameters": parameters} if parameters else None,
        )
    return router


_FILE: dict[str, Any] = {
    "name": "file",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "enum": [*SCRIPTS, NOTICE]},
    "description": "`.js` for a script tag, `.mjs` for import; the notice has the licences of what is inside",
    "example": SCRIPTS[0],
}
_PREFIX: dict[str, Any] = {
    "name": "prefix",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": f"^[0-9a-f]{{{PREFIX_DIGITS}}}$"},
    "description": "The beginning of the file's SHA-384, as in the manifest",
    "example": "0123456789abcdef",
}


def _file(parts: Parts, name: str) -> ServedFile:
    file = parts.agent.get(name)
    if file is None:
        raise ApiError(Code.NOT_FOUND)
    return file


def _answer(request: Request, file: ServedFile, caching: str) -> Response:
    """Answer with the file, packed where the client takes that, or with 304 where it has it."""
    packed = _takes_gzip(request.headers.get("accept-encoding", ""))
    etag = f'"{file.prefix}-gzip"' if packed else f'"{file.prefix}"'
    headers = {**_ANY_PAGE, "etag": etag, "cache-control": caching}
    if _names(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    body = file.packed if packed else file.plain
    if packed:
        headers["content-encoding"] = "gzip"
    if request.method == "HEAD":
        return Response(None, 200, {**headers, "content-length": str(len(body))}, file.media_type)
    return Response(body, 200, headers, file.media_type)


def _takes_gzip(accepted: str) -> bool:
    """Tell whether Accept-Encoding (RFC 9110, 12.5.3) allows gzip by name or by ``*``."""
    allowed = {}
    for one in accepted.lower().split(","):
        coding, _, weight = one.partition(";")
        allowed[coding.strip()] = weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return allowed.get("gzip", allowed.get("*", False))


def _names(known: str, etag: str) -> bool:
    """Tell whether If-None-Match names an ETag; a proxy that packs may have made it a weak one."""
    return any(one.strip().removeprefix("W/") in (etag, "*") for one in known.split(","))
