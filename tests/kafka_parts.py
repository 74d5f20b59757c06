"""What the tests need beyond the lock file: a JDK and Maven for Apache Kafka, since they restart it and kill it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from infra.stack.java import missing_java

PACKAGES = ("openjdk-17-jre-headless", "maven")
_SECONDS = 900


def need_apache_kafka() -> None:
    """Install what is missing where that can be done, as root on Debian, saying so; else end with one line.

    The fallback broker is not enough here: it keeps nothing over a restart and misstates where a topic ends. Whoever
    sets CLICKGOOSE_STACK__KAFKA has chosen a broker, and sees what fails with it.
    """
    missing = missing_java()
    if missing is None or "CLICKGOOSE_STACK__KAFKA" in os.environ:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        sys.stderr.write(f"{missing}: installing {' and '.join(PACKAGES)} with apt-get\n")
        for words in (("update",), ("install", "--yes", "--no-install-recommends", *PACKAGES)):
            subprocess.run(["apt-get", "--quiet=2", *words], check=False, timeout=_SECONDS, stdin=subprocess.DEVNULL)
        missing = missing_java()
    if missing is not None:
        pytest.exit(f"The tests need Apache Kafka. {missing}: install {' and '.join(PACKAGES)}.", returncode=1)
