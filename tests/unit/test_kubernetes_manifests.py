"""The Kubernetes manifests fit Kubernetes' own schemas, and the command line and settings that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner

from infra.cli import app
from infra.settings import FlowSettings, Settings

FOLDER = Path(__file__).parents[2] / "infra" / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
OLDEST, NEWEST = "1.32", "1.37"


def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text("utf-8")))


def of_kind(name: str, kind: str) -> dict[str, Any]:
    (found,) = [document for document in documents(FOLDER / name) if document["kind"] == kind]
    return found


FLOW = of_kind("flow.yaml", "StatefulSet")
JOB = of_kind("rebalance.yaml", "Job")
RECORD = of_kind("record.yaml", "Deployment")
PODS = {
    "flow": FLOW["spec"]["template"]["spec"],
    "rebalance": JOB["spec"]["template"]["spec"],
    "record": RECORD["spec"]["template"]["spec"],
}


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_document_fits_kubernetes_schema_without_unknown_fields(file: Path, version: str) -> None:
    for document in documents(file):
        kubernetes_validate.validate(document, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_would_be_found() -> None:
    wrong = {**FLOW, "spec": {**FLOW["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_pods_are_unprivileged_with_a_read_only_root_and_bounded_memory(pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_the_commands_exist_with_their_options(pod: dict[str, Any]) -> None:
    program, group, name, *words = pod["containers"][0]["args"]
    assert program == "clickgoose"
    told = CliRunner().invoke(app, [group, name, "--help"], env={"COLUMNS": "200"})
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert options and all(option in told.output for option in options)


def test_there_are_as_many_pods_as_processes_and_each_finds_its_number() -> None:
    words = PODS["flow"]["containers"][0]["args"]
    assert words[words.index("--processes") + 1] == str(FLOW["spec"]["replicas"])
    assert words[words.index("--ordinal") + 1] == "auto"


def test_settings_are_those_of_the_flow_and_nothing_writes_outside_the_volumes() -> None:
    (container,) = PODS["flow"]["containers"]
    values = {entry["name"]: entry["value"] for entry in container["env"]}
    prefix = "CLICKGOOSE_FLOW__"
    ours = {name.removeprefix(prefix).lower(): value for name, value in values.items() if name.startswith(prefix)}
    settings = FlowSettings.model_validate(ours)
    assert settings.metrics_host == "0.0.0.0"  # noqa: S104 - the pod's own network
    assert settings.metrics_port == container["ports"][0]["containerPort"]
    assert settings.drain_seconds + 10 < PODS["flow"]["terminationGracePeriodSeconds"]
    assert "home" in Settings.model_fields
    mounts = tuple(f"{mount['mountPath']}/" for mount in container["volumeMounts"])
    state = container["args"][container["args"].index("--state") + 1]
    for path in (values["CLICKGOOSE_HOME"], values["NUMBA_CACHE_DIR"], state):
        assert path.startswith(mounts)


def test_a_rebalance_mounts_the_claims_of_the_old_and_the_new_pods() -> None:
    (container,) = PODS["rebalance"]["containers"]
    words = [word.partition("=") for word in container["args"] if word.startswith("--")]
    to = [value for option, _, value in words if option == "--to"]
    assert len(to) == int({option: value for option, _, value in words}["--processes"])
    places = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    claims = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in PODS["rebalance"]["volumes"]}
    template = FLOW["spec"]["volumeClaimTemplates"][0]["metadata"]["name"]
    for number, directory in enumerate(to):
        (volume,) = [name for name, path in places.items() if directory.startswith(f"{path}/")]
        assert claims[volume] == f"{template}-{FLOW['metadata']['name']}-{number}"
    made = {one["metadata"]["name"] for one in documents(FOLDER / "rebalance.yaml") if "Claim" in one["kind"]}
    assert made == set(list(claims.values())[FLOW["spec"]["replicas"] :])
