"""The OpenAPI document: examples that fit their models, and errors documented on every route."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from ingest_api import decision_models, explain_models, label_models, models, score_models
from ingest_api.errors import FAULTS, Code
from schemas.result import Rejected, Result
from tests.ingest_kit import tier

ROOT = Path(__file__).parent.parent.parent
NEEDED = {
    ("/v1/sessions", "post"): {"401", "403", "413", "415", "422", "429", "500", "503"},
    ("/v1/events", "post"): {"401", "403", "413", "415", "422", "429", "500", "503"},
    ("/v1/events/{event_id}/score", "get"): {"202", "304", "401", "403", "404", "422", "429", "500", "503"},
    ("/v1/events/{event_id}/explain", "get"): {"401", "403", "404", "410", "429", "500", "501", "503"},
    ("/v1/labels", "post"): {"401", "403", "413", "415", "422", "429", "500", "503"},
    ("/v1/decisions", "post"): {"401", "403", "409", "413", "415", "422", "429", "500", "503"},
    ("/v1/watchlists", "get"): {"401", "403", "429", "500", "503"},
    ("/v1/watchlists/{name}/entries", "put"): {"401", "403", "409", "413", "415", "422", "429", "500", "503"},
    ("/v1/watchlists/{name}/entries", "post"): {"401", "403", "409", "413", "415", "422", "429", "500", "503"},
    ("/v1/watchlists/{name}/entries", "delete"): {"401", "403", "404", "413", "415", "422", "429", "500", "503"},
    ("/v1/watchlists/{name}/lookup", "post"): {"401", "403", "404", "413", "415", "422", "429", "500", "503"},
    ("/v1/snoozes", "post"): {"401", "403", "413", "415", "422", "429", "500", "503"},
    ("/v1/snoozes", "delete"): {"401", "403", "413", "415", "422", "429", "500", "503"},
    ("/healthz", "get"): {"500"},
    ("/readyz", "get"): {"500", "503"},
    ("/metrics", "get"): {"500"},
    ("/agent/manifest.json", "get"): {"304", "500"},
    ("/agent/{file}", "get"): {"304", "404", "500"},
    ("/agent/{prefix}/{file}", "get"): {"304", "404", "500"},
}


@pytest.fixture
async def document(tmp_path: Path) -> dict[str, Any]:
    """Return the document that the tier serves."""
    async with tier(tmp_path) as t:
        served: dict[str, Any] = (await t.client.get("/openapi.json")).json()
        return served


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return path, method and operation."""
    return [(path, method, one) for path, methods in document["paths"].items() for method, one in methods.items()]


def test_every_route_is_documented_with_its_errors(document: dict[str, Any]) -> None:
    assert {(path, method) for path, method, _ in operations(document)} == set(NEEDED)
    for path, method, operation in operations(document):
        assert NEEDED[path, method] <= set(operation["responses"]), path
        assert operation["summary"]


def test_examples_fit_the_schemas(document: dict[str, Any]) -> None:
    checked = 0
    for _, _, operation in operations(document):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        for body in (*operation["responses"].values(), *bodies):
            for kind, content in body.get("content", {}).items():
                examples = [one["value"] for one in content.get("examples", {}).values()]
                examples += [content["example"]] if "example" in content else []
                assert examples or kind != "application/json"
                for example in examples if "schema" in content else ():
                    schema = {**content["schema"], "components": document["components"]}
                    jsonschema.validate(example, schema)
                    checked += 1
    assert checked > 30


def test_all_forms_of_a_body_of_events_are_documented(document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1/events"]["post"]
    assert set(operation["requestBody"]["content"]) == {
        "application/vnd.clickgoose.events",
        "application/json",
        "text/plain",
    }
    assert "sendBeacon" in operation["requestBody"]["content"]["text/plain"]["description"]
    assert not any(one["in"] == "query" for one in operation["parameters"])  # no credential in an address, ever


def test_every_code_is_documented_with_its_own_sentence(document: dict[str, Any]) -> None:
    found: dict[str, str] = {}
    for _, _, operation in operations(document):
        for response in operation["responses"].values():
            for name, one in response.get("content", {}).get("application/json", {}).get("examples", {}).items():
                if "error" in one["value"]:
                    found[name] = one["value"]["error"]["message"]
    # A path or method that no route has cannot be documented on a route.
    assert set(found) == {code.value for code in Code} - {"method_not_allowed"}
    assert all(FAULTS[Code(name)].message == message for name, message in found.items())


def test_the_score_example_is_a_result() -> None:
    example = models.example_of(score_models.ScoreResponse)
    assert msgspec.convert(example, Result).decision == "deny"
    assert set(score_models.ScoreResponse.model_fields) == set(Result.__struct_fields__)


def test_a_score_is_a_result_or_a_rejection_that_can_be_told_apart(document: dict[str, Any]) -> None:
    answer = document["paths"]["/v1/events/{event_id}/score"]["get"]["responses"]["200"]["content"]["application/json"]
    assert {name: one["value"].get("status") for name, one in answer["examples"].items()} == {
        "scored": None,
        "rejected": "rejected",
    }
    assert "status" not in score_models.ScoreResponse.model_fields
    assert set(models.RejectedResponse.model_fields) == set(Rejected.__struct_fields__)


@pytest.mark.parametrize(
    "model",
    [
        models.SessionRequest,
        models.SessionResponse,
        models.EventsResponse,
        models.PendingResponse,
        models.RejectedResponse,
        models.AgentManifest,
        explain_models.ExplainResponse,
        label_models.LabelsRequest,
        label_models.LabelsResponse,
        decision_models.DecisionRequest,
        decision_models.DecisionResponse,
    ],
)
def test_model_examples_validate(model: type[models.Model]) -> None:
    assert model.model_validate(models.example_of(model))


def test_the_document_needs_no_other_host(document: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in str(document)
    assert set(document["components"]["securitySchemes"]) == {"apiKey", "token"}


def test_the_guide_names_every_code_reason_and_route() -> None:
    guide = (ROOT / "docs" / "api.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d{3}) \|", guide, re.MULTILINE))
    assert rows == {code.value: str(fault.status) for code, fault in FAULTS.items()}
    for code, fault in FAULTS.items():
        assert f"| `{code.value}` | {fault.status} | {fault.message} |" in guide
    for reason in models.Reason:
        assert f"`{reason.value}`" in guide
    for path, _ in NEEDED:
        assert path.replace("{event_id}", "{id}") in guide
