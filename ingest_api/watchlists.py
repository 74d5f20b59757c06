"""``/v1/watchlists`` and ``/v1/snoozes``: a merchant keeps its own lists, and silences rules for entities of its own.

The merchant is the API key's, and a list is found by merchant and name: no request can name somebody else's, nor a
global one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from ingest_api.bodies import JSON_CONTENT_TYPE, content_type, read_body
from ingest_api.direct import RawRoute
from ingest_api.documented import errors, json_body, success
from ingest_api.errors import ApiError, Code
from ingest_api.parts import Parts
from ingest_api.watchlist_calls import ListCalls
from ingest_api.watchlist_items import (
    Item,
    Order,
    Refusal,
    check_entry,
    list_name,
    read_lookups,
    read_order,
)
from ingest_api.watchlist_models import (
    AddRequest,
    ChangesResponse,
    ListsResponse,
    LookupRequest,
    LookupResponse,
    RemoveRequest,
    SnoozeRequest,
    UnsnoozeRequest,
)
from scoring.rules.watchlist_desk import MOST_LISTS, ListDesk, Status
from scoring.rules.watchlist_store import Wanted
from scoring.rules.watchlists import FOREVER, REMOVED, ListName, Mode

log = logging.getLogger("ingest.watchlists")
MAX_BODY: Final = 1_048_576
ENTRIES_PATH: Final = "/v1/watchlists/{name}/entries"
LOOKUP_PATH: Final = "/v1/watchlists/{name}/lookup"
_AT_ONCE: Final = 32
_SUMMARY_COSTS: Final = 100  # entries, of the merchant's rate
_RETRY_UNSET_SECONDS: Final = 600
_TOO_LARGE: Final = f"The body is too large; send at most {MAX_BODY:,} bytes."
_ENCODER = msgspec.json.Encoder()
_NAME: list[dict[str, Any]] = [
    {
        "name": "name",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"},
        "description": "Your name of the list",
        "example": "bad-cards",
    }
]
_USUAL = (
    *(Code.API_KEY_MISSING, Code.API_KEY_INVALID, Code.WRONG_CREDENTIAL, Code.BODY_TOO_LARGE),
    *(Code.CONTENT_TYPE_UNSUPPORTED, Code.CONTENT_ENCODING_UNSUPPORTED, Code.INVALID_REQUEST, Code.RATE_LIMITED),
    *(Code.LISTS_UNAVAILABLE, Code.CLICKHOUSE_UNSET, Code.SHUTTING_DOWN),
)
_ADD = (
    "1 to 1,000 values, each answered by itself; the same again renews its end and its reason. Values are kept as "
    "keyed digests. A change is in effect here at once, and everywhere within a second. `mode` says what a new list "
    "does."
)


def watchlists_router(parts: Parts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(route_class=RawRoute)

    def documented(summary: str, body: Any, answer: Any, *codes: Code, path: bool = True) -> dict[str, Any]:
        extra: dict[str, Any] = {"security": [{"apiKey": []}], "parameters": _NAME if path else []}
        if body is not None:
            extra["requestBody"] = {"required": True, "content": {JSON_CONTENT_TYPE: json_body(body)}}
        responses = {**success(200, answer, "One outcome per entry, in the order sent"), **errors(*_USUAL, *codes)}
        return {"summary": summary, "response_class": Response, "responses": responses, "openapi_extra": extra}

    many = Code.TOO_MANY_ENTRIES

    async def add_entries(request: Request) -> Response:
        return await _change_list(parts, request, removing=False)

    for method in ("PUT", "POST"):
        added = documented("Add values to a list", AddRequest, ChangesResponse, many, Code.LIST_MODE)
        operation = f"{'put' if method == 'PUT' else 'add'}_entries"
        router.add_api_route(
            ENTRIES_PATH, add_entries, methods=[method], description=_ADD, operation_id=operation, **added
        )

    @router.delete(
        ENTRIES_PATH,
        description="1 to 1,000 values, each answered by itself: `removed`, or `absent` where the list had it not.",
        **documented("Remove values from a list", RemoveRequest, ChangesResponse, many, Code.NOT_FOUND),
    )
    async def remove_entries(request: Request) -> Response:
        return await _change_list(parts, request, removing=True)

    @router.post(
        LOOKUP_PATH,
        description="Up to 100 values: whether the list has each, until when, and who changed it last and why. Values "
        "are in the body, since addresses of requests end up in the logs of others.",
        **documented("Ask a list about values", LookupRequest, LookupResponse, many, Code.NOT_FOUND),
    )
    async def look_up(request: Request) -> Response:
        merchant, calls, body = await _received(parts, request)
        name = list_name(request.path_params["name"])
        asked = read_lookups(body)
        await parts.rates.list_entries(merchant, len(asked))
        found = await calls.run(lambda desk: _found(desk, merchant, name, asked))
        return _json(found)

    @router.get(
        "/v1/watchlists",
        description="The names of your lists, what they do and how many values they have, and the rules that you "
        "snoozed. Values are kept as digests, so that nobody can list them.",
        **documented("Show your lists", None, ListsResponse, path=False),
    )
    async def show_lists(request: Request) -> Response:
        merchant, calls = await _asking(parts, request)
        await parts.rates.list_entries(merchant, _SUMMARY_COSTS)
        return _json(await calls.run(lambda desk: _summary(desk, merchant)))

    @router.post(
        "/v1/snoozes",
        description="1 to 1,000 snoozes, each answered by itself. The rule stays silent for your events that name the "
        "entity, until their event time reaches `until`; the trace then says `snoozed`.",
        **documented("Silence rules for entities", SnoozeRequest, ChangesResponse, many, path=False),
    )
    async def snooze(request: Request) -> Response:
        return await _change_snoozes(parts, request, removing=False)

    @router.delete(
        "/v1/snoozes",
        description="1 to 1,000 snoozes that end now, each answered by itself.",
        **documented("End snoozes", UnsnoozeRequest, ChangesResponse, many, path=False),
    )
    async def unsnooze(request: Request) -> Response:
        return await _change_snoozes(parts, request, removing=True)

    return router


async def _asking(parts: Parts, request: Request) -> tuple[str, ListCalls]:
    if parts.draining:
        raise ApiError(Code.SHUTTING_DOWN, retry_after=1)
    merchant = await parts.access.merchant(request)
    if parts.watchlists is None:
        raise ApiError(Code.CLICKHOUSE_UNSET, retry_after=_RETRY_UNSET_SECONDS)
    return merchant, parts.watchlists


async def _received(parts: Parts, request: Request) -> tuple[str, ListCalls, bytes]:
    merchant, calls = await _asking(parts, request)
    content_type(request, JSON_CONTENT_TYPE)
    return merchant, calls, await read_body(request, MAX_BODY, _TOO_LARGE)


async def _change_list(parts: Parts, request: Request, removing: bool) -> Response:
    merchant, calls, body = await _received(parts, request)
    name = list_name(request.path_params["name"])
    order = read_order(body, snoozes=False)
    await parts.rates.list_entries(merchant, len(order.entries))
    known = await calls.run(lambda desk: desk.mode_of(merchant, name))
    mode = _mode(known, order, removing)
    return await _change(parts, calls, merchant, order, (mode, name), removing)


def _mode(known: Mode | None, order: Order, removing: bool) -> Mode:
    """Return what a list does; a name keeps its mode."""
    if known is None:
        if removing:
            raise ApiError(Code.NOT_FOUND, "You have no list of this name.")
        if order.mode is None:
            raise ApiError(Code.INVALID_REQUEST, "The list is new: say its mode, allow, deny or named.")
        return order.mode
    if order.mode not in (None, known):
        raise ApiError(Code.LIST_MODE)
    return known


async def _change_snoozes(parts: Parts, request: Request, removing: bool) -> Response:
    merchant, calls, body = await _received(parts, request)
    order = read_order(body, snoozes=True)
    await parts.rates.list_entries(merchant, len(order.entries))
    return await _change(parts, calls, merchant, order, ("snooze", ""), removing)


async def _change(
    parts: Parts, calls: ListCalls, merchant: str, order: Order, what: tuple[Mode, str], removing: bool
) -> Response:
    """Check every entry, make the changes of those that are good, and answer each; never a value."""
    (mode, name), now_ms = what, parts.clock()
    checked: list[Item | Refusal] = []
    for first in range(0, len(order.entries), _AT_ONCE):  # whoever sends events meanwhile waits for a few at most
        some = order.entries[first : first + _AT_ONCE]
        checked += [check_entry(one, mode, order.reason, now_ms, removing) for one in some]
        await asyncio.sleep(0)
    good = [one for one in checked if isinstance(one, Item)]
    outcome = iter(await calls.run(lambda desk: _changed(desk, merchant, order, mode, name, good)) if good else ())
    results = [one if isinstance(one, Refusal) else next(outcome) for one in checked]
    return _answer(parts, merchant, mode, results)


def _changed(
    desk: ListDesk, merchant: str, order: Order, mode: Mode, name: str, items: Sequence[Item]
) -> list[Status | Refusal]:
    known = desk.known(merchant, snoozes=mode == "snooze")
    full = desk.full(merchant)
    wanted: list[Wanted | Status | Refusal] = []
    for one in items:
        listed = ListName(merchant, mode, one.rule or name)
        if one.until == REMOVED and listed not in known:
            wanted.append("absent")
        elif one.until != REMOVED and (full or (listed not in known and len(known) >= MOST_LISTS)):
            wanted.append(Refusal.FULL)
        else:
            known.add(listed)
            digest = desk.keys.digest(merchant, one.kind, one.value)
            wanted.append(Wanted(listed, one.kind, digest, one.until, one.reason, order.author))
    done = iter(desk.change([one for one in wanted if isinstance(one, Wanted)], "api"))
    return [next(done) if isinstance(one, Wanted) else one for one in wanted]


def _found(desk: ListDesk, merchant: str, name: str, asked: Sequence[msgspec.Raw]) -> dict[str, Any]:
    mode = desk.mode_of(merchant, name)
    if mode is None:
        raise ApiError(Code.NOT_FOUND, "You have no list of this name.")
    checked = [check_entry(one, mode, "asked", 0, removing=True) for one in asked]
    if any(isinstance(one, Refusal) for one in checked):
        raise ApiError(Code.INVALID_REQUEST, "A value that is asked about does not have the documented form.")
    digests = [desk.keys.digest(merchant, one.kind, one.value) for one in checked if isinstance(one, Item)]
    listed, table = ListName(merchant, mode, name), desk.table()
    lives = desk.life.newest(listed, digests)
    results = []
    for index, digest in enumerate(digests):
        until, life = table.until(listed, digest), lives.get(digest)
        said: dict[str, Any] = {"index": index, "listed": until != REMOVED}
        if until not in (REMOVED, FOREVER):
            said["until"] = until
        if life is not None:
            said |= {"since": life["version"] // 1_000, "author": life["author"], "reason": life["reason"]}
        results.append(said)
    return {"name": name, "mode": mode, "results": results}


def _summary(desk: ListDesk, merchant: str) -> dict[str, Any]:
    every = desk.summaries(merchant)
    lists = [(name, entries) for name, entries in every if name.mode != "snooze"]
    return {
        "lists": [{"name": name.name, "mode": name.mode, "entries": entries} for name, entries in lists],
        "snoozes": [{"rule": name.name, "entries": entries} for name, entries in every if name.mode == "snooze"],
    }


def _answer(parts: Parts, merchant: str, mode: Mode, outcomes: Sequence[Status | Refusal]) -> Response:
    refused = Counter(one for one in outcomes if isinstance(one, Refusal))
    done = Counter(one for one in outcomes if not isinstance(one, Refusal))
    parts.metrics.lists.changed(mode, done, refused)
    log.info("lists changed", extra={"merchant": merchant, "mode": mode, "done": dict(done), "refused": dict(refused)})
    results = [
        {"index": index, "status": "refused", "reason": one}
        if isinstance(one, Refusal)
        else {"index": index, "status": one}
        for index, one in enumerate(outcomes)
    ]
    return _json({"changed": done.total(), "refused": refused.total(), "results": results})


def _json(body: Any) -> Response:
    return Response(_ENCODER.encode(body), 200, media_type=JSON_CONTENT_TYPE)
