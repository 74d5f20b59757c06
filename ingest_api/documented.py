"""OpenAPI: how errors and bodies are documented on a route."""

from __future__ import annotations

from typing import Any, Union

from pydantic import BaseModel

from ingest_api.errors import FAULTS, Code
from ingest_api.models import ErrorResponse, example_of

Responses = dict[int | str, dict[str, Any]]
ALWAYS = (Code.INTERNAL,)


def errors(*codes: Code) -> Responses:
    """Document errors with an example per code, grouped by status as OpenAPI wants it."""
    documented: Responses = {}
    for code in (*codes, *ALWAYS):
        fault = FAULTS[code]
        entry = documented.setdefault(
            fault.status,
            {"model": ErrorResponse, "description": "", "content": {"application/json": {"examples": {}}}},
        )
        value = {"error": {"code": code.value, "message": fault.message}}
        entry["content"]["application/json"]["examples"][code.value] = {"summary": fault.message, "value": value}
        entry["description"] = " ".join(filter(None, (entry["description"], f"`{code.value}`")))
        if fault.status in (429, 503):
            entry["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
    return documented


def success(status: int, model: type[BaseModel], description: str) -> Responses:
    """Document a success with its example."""
    content = {"application/json": {"example": example_of(model)}}
    return {status: {"model": model, "description": description, "content": content}}


def either(status: int, description: str, **models: type[BaseModel]) -> Responses:
    """Document a success that has one of several forms, with an example of each under its name."""
    union: Any = Union[tuple(models.values())]  # noqa: UP007 -- of models that are known at run time only
    examples = {name: {"summary": model.__doc__, "value": example_of(model)} for name, model in models.items()}
    return {
        status: {"model": union, "description": description, "content": {"application/json": {"examples": examples}}}
    }


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """Document a JSON body that the route reads itself."""
    schema = model.model_json_schema()
    return {"schema": _inlined(schema, schema.pop("$defs", {})), "example": example_of(model)}


def _inlined(schema: Any, models: dict[str, Any]) -> Any:
    """Put models where they are referred to: within the whole document such a reference would lead nowhere."""
    if isinstance(schema, list):
        return [_inlined(one, models) for one in schema]
    if not isinstance(schema, dict):
        return schema
    name = schema.get("$ref", "").rpartition("/")[2]
    if name:
        return _inlined(models[name], models)
    return {key: _inlined(value, models) for key, value in schema.items()}
