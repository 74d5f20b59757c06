"""Finding a JDK, and fetching Kafka's jars once with Maven into the user's cache."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from infra.stack.child import ChildProcess, StackError
from infra.stack.files import told_plainly

KAFKA_VERSION = "4.1.0"
JAVA_AT_LEAST = 17
RECIPES = Path(__file__).parent.parent / "kafka"
_FETCH_SECONDS = 900
Say = Callable[[str], None]


def cache_dir() -> Path:
    """Where the jars are kept between homes and clones."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "clickgoose" / f"kafka-{KAFKA_VERSION}"


def find_java() -> str | None:
    """Return the ``java`` of JAVA_HOME or of the PATH."""
    home = os.environ.get("JAVA_HOME")
    if home and (found := shutil.which("java", path=str(Path(home) / "bin"))):
        return found
    return shutil.which("java")


def java_version(java: str) -> int | None:
    """Return the major version that a ``java`` reports."""
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', told.stderr + told.stdout)
    return int(found.group(1)) if found else None


def missing_java() -> str | None:
    """Say in one sentence what keeps Apache Kafka from running here; nothing if all is there."""
    java = find_java()
    if java is None:
        return f"Apache Kafka needs a JDK {JAVA_AT_LEAST} or newer, and there is no java on the PATH"
    version = java_version(java)
    if version is None or version < JAVA_AT_LEAST:
        return f"Apache Kafka needs a JDK {JAVA_AT_LEAST} or newer, and {java} is {version or 'of unknown version'}"
    if not jars_cached() and shutil.which("mvn") is None:
        return "Apache Kafka's jars are not cached yet, and there is no mvn (Maven) on the PATH to fetch them"
    return None


def expected_jars() -> dict[str, str]:
    """Return the digest of every jar that belongs to the broker."""
    lines = (RECIPES / "SHA256SUMS").read_text("ascii").split("\n")
    return {name: digest for digest, name in (line.split() for line in lines if line)}


def jars_cached() -> bool:
    """Tell whether a complete set of jars is in the cache; it got there whole or not at all."""
    present = {path.name for path in cache_dir().glob("*.jar")}
    return present >= expected_jars().keys()


def ensure_jars(say: Say, cancel: threading.Event) -> Path:
    """Return the directory of the jars; fetch and check them where they are missing."""
    target = cache_dir()
    if jars_cached():
        return target
    say(f"Fetching Apache Kafka {KAFKA_VERSION} with Maven, once (about a minute) ...")
    with told_plainly(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".kafka-") as name:
            jars = Path(name) / "jars"
            _fetch(jars, Path(name) / "maven.log", cancel)
            _check(jars)
            _move_in(jars, target)
    say(f"Apache Kafka {KAFKA_VERSION} is in {target}.")
    return target


def _fetch(into: Path, log: Path, cancel: threading.Event) -> None:
    """Let Maven, with the user's own settings, resolve the jars."""
    command = ["mvn", "-q", "-B", "-f", str(RECIPES / "pom.xml"), "dependency:copy-dependencies"]
    argv = [*command, "-DincludeScope=runtime", f"-DoutputDirectory={into}"]
    code = ChildProcess("maven", argv, log=log).run_to_end(_FETCH_SECONDS, cancel)
    if code:
        lines = [line for line in log.read_text("utf-8", "replace").splitlines() if "ERROR" in line]
        reason = lines[0].removeprefix("[ERROR]").strip()[:300] if lines else f"exit code {code}"
        raise StackError(f"Maven could not fetch Apache Kafka: {reason}")


def _check(directory: Path) -> None:
    """Refuse jars that are not the ones this version was tested with."""
    for name, digest in expected_jars().items():
        path = directory / name
        if not path.exists():
            raise StackError(f"Maven did not bring {name}, which Apache Kafka {KAFKA_VERSION} needs.")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise StackError(f"{name} from Maven is not the published file: its SHA-256 differs.")


def _move_in(jars: Path, target: Path) -> None:
    """Put the whole set in place in one step; a set that somebody else just put there is as good."""
    jars.chmod(0o755)
    try:
        jars.replace(target)
    except OSError:
        if not jars_cached():
            shutil.rmtree(target, ignore_errors=True)
            jars.replace(target)
