"""Master keys come from the settings: a wrong one stops the start with one sentence that does not show it.

So does a data file of the look-ups that is missing or damaged.
"""

from __future__ import annotations

import pytest
from pydantic import SecretStr

import flows.pipeline
from enrichers.address_file import DataFileError
from infra.flow import pipeline_of
from infra.flow_serving import FlowRefused
from infra.keys import key_ring
from infra.settings import Settings
from scoring.deployment import only
from scoring.model import Model, find_model


def settings(**keys: str) -> Settings:
    return Settings(master_keys={int(name[1:]): SecretStr(key) for name, key in keys.items()})


def test_the_highest_id_seals_new_sessions() -> None:
    assert key_ring(settings(k1="11" * 32, k7="22" * 32)).current == 7


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"k3": "not hexadecimal"}, "^master key 3 is not hexadecimal; it needs exactly 64 digits$"),
        ({"k3": "11" * 8}, "^master key 3 has 8 bytes; it needs exactly 32$"),
    ],
)
def test_a_wrong_key_is_named_by_its_id_and_refused_by_the_flow_too(keys: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        key_ring(settings(**keys))
    with pytest.raises(FlowRefused, match=sentence):
        pipeline_of(settings(**keys), only(Model.load(find_model())))


def test_a_flow_without_its_data_files_is_refused_with_their_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> None:
        raise DataFileError("The data file x is damaged.")

    monkeypatch.setattr(flows.pipeline, "load_address_table", damaged)
    with pytest.raises(FlowRefused, match=r"^The data file x is damaged\.$"):
        pipeline_of(settings(k1="11" * 32), only(Model.load(find_model())))
