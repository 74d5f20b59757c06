"""The browser agent's own tests, run by Node, and the bundle that is served."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from pathlib import Path

AGENT = Path(__file__).parents[2] / "ingest_api" / "agent"
BUNDLE = AGENT / "bundle"


def npm(*command: str) -> str:
    """Run a command of the agent's project; what it printed is shown where it fails."""
    ran = subprocess.run(["npm", *command], cwd=AGENT, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, f"npm {' '.join(command)}\n{told(ran.stdout)}\n{ran.stderr[-2_000:]}"
    return ran.stdout


def told(printed: str) -> str:
    """Return what the agent's tests say of those that failed, or else the end of what was printed."""
    failed = re.findall(r"^not ok .*?^  \.\.\.$", printed, re.M | re.S)
    return "\n".join(failed)[-8_000:] or printed[-8_000:]


def test_the_agents_own_tests_pass() -> None:
    assert "fail 0\n" in npm("test")


def test_the_bundle_is_what_the_sources_give() -> None:
    npm("run", "check")


def test_the_manifest_describes_the_committed_bundle() -> None:
    manifest = json.loads((BUNDLE / "manifest.json").read_text())
    assert manifest["version"] == json.loads((AGENT / "package.json").read_text())["version"]
    assert set(manifest["files"]) == {"clickgoose.js", "clickgoose.mjs"}
    for name, described in manifest["files"].items():
        script = (BUNDLE / name).read_bytes()
        assert described["integrity"] == "sha384-" + base64.b64encode(hashlib.sha384(script).digest()).decode()
        assert described["bytes"] == len(script)
        assert described["gzip_bytes"] <= 60_000


def test_the_bundle_names_no_machine_and_no_address_but_namespaces() -> None:
    for name in ("clickgoose.js", "clickgoose.mjs"):
        text = (BUNDLE / name).read_text("ascii")
        assert str(AGENT) not in text
        assert "node_modules" not in text
        assert "sourceMappingURL" not in text
