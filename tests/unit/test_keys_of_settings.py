"""Master keys come from the settings: a wrong one stops the start with one sentence that does not show it."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from infra.flow import FlowRefused, pipeline_of
from infra.keys import key_ring
from infra.settings import Settings
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
        pipeline_of(settings(**keys), Model.load(find_model()))
