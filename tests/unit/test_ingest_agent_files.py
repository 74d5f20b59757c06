"""The browser agent as the tier serves it: bytes, caching, packing, and leave for pages of any origin."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from typer.testing import CliRunner

from infra.cli import app
from ingest_api.agent_bundle import SCRIPTS, BundleError, load_bundle
from ingest_api.config import AGENT_DIR
from tests.ingest_kit import code, config, make_bundle, tier

ROOT = Path(__file__).parent.parent.parent
SCRIPT = b"var clickgoose = {};\n"
PREFIX = hashlib.sha384(SCRIPT).hexdigest()[:16]


@pytest.mark.parametrize("path", ["/agent/clickgoose.js", "/agent/clickgoose.mjs", f"/agent/{PREFIX}/clickgoose.js"])
async def test_any_page_may_load_a_script(tmp_path: Path, path: str) -> None:
    async with tier(tmp_path) as t:
        answer = await t.client.get(path, headers={"origin": "https://shop.example"})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert answer.headers["timing-allow-origin"] == "*"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.content == (tmp_path / "agent" / path.rpartition("/")[2]).read_bytes()


async def test_the_plain_name_is_asked_for_again_and_the_hashed_one_never(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        newest = (await t.client.get("/agent/clickgoose.js")).headers["cache-control"]
        pinned = (await t.client.get(f"/agent/{PREFIX}/clickgoose.js")).headers["cache-control"]
        assert "max-age=300" in newest and "stale-while-revalidate" in newest and "immutable" not in newest
        assert pinned == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip, deflate, br, zstd", True),
        ("GZIP", True),
        ("br;q=1.0, gzip;q=0.5", True),
        ("*", True),
        ("identity", False),
        ("", False),
        ("gzip;q=0, *", False),
        ("gzip; q=0.0", False),
        ("x-gzip2", False),
    ],
)
async def test_it_is_packed_where_the_browser_takes_that(tmp_path: Path, accepted: str, packed: bool) -> None:
    async with tier(tmp_path) as t:
        for path in ("/agent/clickgoose.js", "/agent/manifest.json"):
            async with t.client.stream("GET", path, headers={"accept-encoding": accepted}) as answer:
                body = b"".join([part async for part in answer.aiter_raw()])
            assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
            assert answer.headers["vary"] == "accept-encoding"
            assert int(answer.headers["content-length"]) == len(body)
            plain = gzip.decompress(body) if packed else body
            assert plain == SCRIPT or json.loads(plain)["version"] == "9.9.9"


async def test_what_a_browser_has_is_not_sent_again(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        tags = set()
        for accepted in ("gzip", "identity"):
            asked = {"accept-encoding": accepted}
            first = await t.client.get("/agent/clickgoose.js", headers=asked)
            etag = first.headers["etag"]
            tags.add(etag)
            for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
                again = await t.client.get("/agent/clickgoose.js", headers={**asked, "if-none-match": known})
                assert (again.status_code, again.content) == (304, b"")
                assert again.headers["etag"] == etag
                assert again.headers["cache-control"] == first.headers["cache-control"]
            changed = await t.client.get("/agent/clickgoose.js", headers={**asked, "if-none-match": '"other"'})
            assert changed.status_code == 200
        assert len(tags) == 2  # a strong tag names bytes, so each form has its own


async def test_head_says_what_get_would(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        for path in ("/agent/clickgoose.js", f"/agent/{PREFIX}/clickgoose.js", "/agent/manifest.json"):
            head, get = await t.client.head(path), await t.client.get(path)
            assert head.content == b"" and dict(head.headers) == dict(get.headers)
        refused = await t.client.post("/agent/clickgoose.js")
        assert code(refused) == (405, "method_not_allowed")
        assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    "path",
    [
        "/agent/",
        "/agent/clickgoose.css",
        "/agent/{file}",
        "/agent/{prefix}/{file}",
        "/agent/0000000000000000/clickgoose.js",
        f"/agent/{PREFIX}/clickgoose.mjs",
        f"/agent/{PREFIX}/x/clickgoose.js",
        "/agent/..%2f..%2fconfig.py",
        "/agent/../config.py",
        "/agent/src/start.ts",
    ],
)
async def test_nothing_else_is_served_and_a_miss_is_not_kept(tmp_path: Path, path: str) -> None:
    async with tier(tmp_path) as t:
        answer = await t.client.get(path)
        assert code(answer) == (404, "not_found")
        assert answer.headers["cache-control"] == "no-store"
        assert "cross-origin-resource-policy" not in answer.headers


async def test_the_manifest_names_what_is_served(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        manifest = (await t.client.get("/agent/manifest.json")).json()
        assert manifest["version"] == "9.9.9" and set(manifest["files"]) == set(SCRIPTS)
        for file in manifest["files"].values():
            async with t.client.stream("GET", file["path"], headers={"accept-encoding": "gzip"}) as answer:
                packed = b"".join([part async for part in answer.aiter_raw()])
            plain = gzip.decompress(packed)
            assert (len(plain), len(packed)) == (file["bytes"], file["gzip_bytes"])
            digest = base64.b64encode(hashlib.sha384(plain).digest()).decode()
            assert file["integrity"] == f"sha384-{digest}"


async def test_the_licences_of_what_is_inside_are_served_too(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        answer = await t.client.get("/agent/NOTICE.txt")
        assert (answer.status_code, answer.text) == (200, "Contains nothing of others.\n")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_other_routes_keep_other_origins_out(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        for path in ("/healthz", "/openapi.json", "/v1/events/" + "ab" * 16 + "/score"):
            headers = (await t.client.get(path, headers={"origin": "https://shop.example"})).headers
            assert "access-control-allow-origin" not in headers
            assert "cross-origin-resource-policy" not in headers and "timing-allow-origin" not in headers


async def test_loading_the_agent_is_counted(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        await t.client.get("/agent/clickgoose.js")
        await t.client.get("/agent/nope")
        text = (await t.client.get("/metrics")).text
        assert 'clickgoose_ingest_requests_total{route="agent",status="200"} 1.0' in text
        assert 'clickgoose_ingest_requests_total{route="agent",status="404"} 1.0' in text


@pytest.mark.parametrize("lost", ["clickgoose.js", "clickgoose.mjs", "manifest.json", "NOTICE.txt"])
async def test_a_missing_bundle_stops_the_start_with_one_sentence(tmp_path: Path, lost: str) -> None:
    directory = make_bundle(tmp_path / "bundle")
    (directory / lost).unlink()
    with pytest.raises(BundleError) as raised:
        async with tier(tmp_path, agent_dir=directory):
            pass
    assert "npm run build" in str(raised.value) and lost in str(raised.value) and "\n" not in str(raised.value)
    assert not (tmp_path / "spool").exists()  # it is looked at before anything is opened


def test_the_command_says_that_sentence_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: Path) -> None:
        raise BundleError("The agent is missing.")

    monkeypatch.setattr("ingest_api.parts.load_bundle", missing)
    monkeypatch.setattr("ingest_api.logs.configure_logs", lambda: None)  # it would outlive this test
    (tmp_path / "merchants.json").write_text("{}")
    environment = {
        "CLICKGOOSE_HOME": str(tmp_path),
        "CLICKGOOSE_KAFKA__BOOTSTRAP": "127.0.0.1:9",
        "CLICKGOOSE_REDIS__URL": "redis://127.0.0.1:9/0",
        "CLICKGOOSE_MASTER_KEYS": json.dumps({"1": "33" * 32}),
        "CLICKGOOSE_INGEST__TLS": "false",
    }
    done = CliRunner().invoke(app, ["ingest", "serve", "--port", "0"], env=environment)
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", "The agent is missing.\n")


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{}", b'{"version": "1"}', b'{"version": 7, "files": {}}', b"\xff"])
def test_a_manifest_that_is_none_stops_the_start(tmp_path: Path, manifest: bytes) -> None:
    directory = make_bundle(tmp_path)
    (directory / "manifest.json").write_bytes(manifest)
    with pytest.raises(BundleError, match="no manifest"):
        load_bundle(directory)


def test_a_script_that_was_changed_after_its_build_stops_the_start(tmp_path: Path) -> None:
    directory = make_bundle(tmp_path)
    (directory / "clickgoose.js").write_bytes(SCRIPT + b"//")
    with pytest.raises(BundleError, match=r"clickgoose\.js is not what its manifest says"):
        load_bundle(directory)
    make_bundle(directory)
    (directory / "manifest.json").write_text('{"version": "1", "files": {}}')
    with pytest.raises(BundleError, match="not what its manifest says"):
        load_bundle(directory)


def test_the_committed_bundle_is_served_and_travels_in_the_wheel(tmp_path: Path) -> None:
    assert config(tmp_path, agent_dir=AGENT_DIR).agent_dir == ROOT / "ingest_api" / "agent" / "bundle"
    assert set(load_bundle(AGENT_DIR)) == {*SCRIPTS, "manifest.json", "NOTICE.txt"}
    shipped = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    agent = {path for path in shipped if path.startswith("ingest_api/agent/")}
    assert {f"ingest_api/agent/bundle/{name}" for name in (*SCRIPTS, "manifest.json", "NOTICE.txt")} <= agent
    assert all(path.startswith("ingest_api/agent/bundle/") for path in agent)
