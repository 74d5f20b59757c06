from __future__ import annotations

import base64
import json
from pathlib import Path

import jsonschema
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typer.testing import CliRunner

from infra.cli import app
from infra.traffic.craft import Craft
from infra.traffic.sealing import nested_body
from ingest_api.signature import verify_body
from schemas.framing import unpack_frames
from schemas.sealed import HEADER_BYTES, NONCE_BYTES, Codec, read_header, unpack_body

SEAL, SIGN = b"\x07" * 32, b"\x08" * 32
SESSION = {
    "session_id": "0b" * 16, "key_id": 2, "token": "tok", "seal_key": base64.b64encode(SEAL).decode(),
    "sign_key": base64.b64encode(SIGN).decode(), "endpoint": "https://127.0.0.1:1/v1/events",
}  # fmt: skip
runner = CliRunner()


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    session, event = tmp_path / "session.json", tmp_path / "event.json"
    session.write_text(json.dumps(SESSION))
    event.write_text('{"signals": {"screen.width": 1920}, "activity": [{"t": 5, "code": 400, "target": "email"}]}')
    return str(session), str(event)


@pytest.mark.parametrize(
    ("word", "codec"),
    [("raw", Codec.RAW), ("deflate", Codec.DEFLATE_RAW), ("lz4", Codec.LZ4), ("json", Codec.NESTED_JSON)],
)
def test_seal_prints_a_body_that_opens_and_a_signature_that_holds(
    files: tuple[str, str], word: str, codec: Codec
) -> None:
    found = runner.invoke(app, ["seal", "--session", files[0], "--event", files[1], "--codec", word])
    assert found.exit_code == 0, found.stderr
    (sealed,) = unpack_frames(found.stdout_bytes, 10)
    header, at = read_header(sealed), HEADER_BYTES + NONCE_BYTES
    assert header is not None
    assert header.key_id == 2
    assert header.event_id.hex() in found.stderr
    plain = AESGCM(SEAL).decrypt(sealed[HEADER_BYTES:at], sealed[at:], sealed[:HEADER_BYTES])
    assert unpack_body(plain)[0] is codec
    signature = found.stderr.split("X-Clickgoose-Signature: ")[1].split()[0]
    verify_body(SIGN, signature, found.stdout_bytes, header.sent_at, 1_000)


def test_seal_prints_a_curl_command_whose_body_is_what_was_signed(files: tuple[str, str]) -> None:
    import shlex

    found = runner.invoke(app, ["seal", "--session", files[0], "--event", files[1], "--curl"])
    words = shlex.split(found.stdout)
    body = words[words.index("--data-binary") + 1]
    header = read_header(base64.b64decode(json.loads(body)["events"][0]))
    assert header is not None
    signature = next(word for word in words if word.startswith("X-Clickgoose-Signature")).split(": ")[1]
    verify_body(SIGN, signature, body.encode(), header.sent_at, 1_000)
    assert words[-1] == SESSION["endpoint"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"signals": {"no.such": 1}}', "not in the catalogue"),
        ("{", "nested event"),
    ],
)
def test_seal_says_what_is_wrong_with_an_event(files: tuple[str, str], text: str, sentence: str) -> None:
    Path(files[1]).write_text(text)
    found = runner.invoke(app, ["seal", "--session", files[0], "--event", files[1]])
    assert found.exit_code == 2
    assert sentence in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("session", ["[]", "{}", "no json"])
def test_seal_says_that_a_session_is_none(files: tuple[str, str], session: str) -> None:
    Path(files[0]).write_text(session)
    found = runner.invoke(app, ["seal", "--session", files[0], "--event", files[1]])
    assert found.exit_code == 2
    assert "POST /v1/sessions" in found.stderr


def test_the_printed_schema_accepts_a_visitors_event_and_refuses_another(files: tuple[str, str]) -> None:
    schema = json.loads(runner.invoke(app, ["schema", "json"]).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator, craft = jsonschema.Draft202012Validator(schema), Craft(1, small=True)
    event = json.loads(nested_body(craft.honest(craft.visitor(1_780_272_000_000)).events[0]))
    validator.validate(event)
    event["signals"]["no.such"] = 1
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(event)


def test_codes_and_signals_are_printed_as_json() -> None:
    codes = json.loads(runner.invoke(app, ["schema", "log-codes", "--json"]).stdout)
    signals = json.loads(runner.invoke(app, ["schema", "catalogue", "--family", "webgl", "--json"]).stdout)
    assert {"code": 400, "name": "pasted"}.items() <= next(c for c in codes["codes"] if c["code"] == 400).items()
    assert {s["name"].split(".")[0] for s in signals["signals"]} == {"webgl"}
    assert "pasted" in runner.invoke(app, ["schema", "log-codes"]).stdout
    assert runner.invoke(app, ["schema", "catalogue", "--family", "hats"]).exit_code == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--for", "soon"], "60s, 5m or 1h"),
        (["--attackers", "goblin"], "no such kind of traffic: goblin"),
        (["--honest-only", "--attackers", "spoofer"], "--honest-only"),
        ([], "No ingest tier is known"),
    ],
)
def test_wrong_use_of_traffic_is_answered_in_one_sentence(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLICKGOOSE_INGEST__URL", raising=False)
    found = runner.invoke(app, ["traffic", "--home", str(tmp_path), *words])
    assert found.exit_code == 2
    assert sentence in found.stderr


def test_a_home_without_keys_is_answered_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLICKGOOSE_API_KEY", raising=False)
    found = runner.invoke(app, ["traffic", "--home", str(tmp_path), "--url", "http://127.0.0.1:9"])
    assert found.exit_code == 1
    assert "clickgoose up" in found.stderr


def test_traffic_prints_one_object_and_exits_1_where_nobody_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.traffic.api._PAUSE_SECONDS", (0.001, 0.002))
    monkeypatch.setenv("CLICKGOOSE_API_KEY", "cg_x")
    ids, kept = tmp_path / "ids", tmp_path / "stats.json"
    words = ["--home", str(tmp_path), "--url", "http://127.0.0.1:9", "--events", "3", "--rate", "500", "--json"]
    words += ["--accepted-ids", str(ids), "--stats-file", str(kept), "--progress", "none"]
    found = runner.invoke(app, ["traffic", *words])
    assert found.exit_code == 1
    printed = json.loads(found.stdout)
    assert (printed["offered"], printed["ok"], printed["unanswered"]) == (3, 0, 3)
    assert json.loads(kept.read_text())["offered"] == 3
    assert ids.read_text() == ""
