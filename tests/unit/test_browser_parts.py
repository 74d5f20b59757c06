"""Where a browser is missing: it is installed as root on Debian; else one line says what to install."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import pytest

from tests import browser_parts
from tests.browser_parts import need_browsers


def only(monkeypatch: pytest.MonkeyPatch, *programs: str, root: bool) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name in programs else None)
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    monkeypatch.setattr(browser_parts, "_need_driver", lambda: None)


def test_without_root_it_ends_with_one_line_that_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "node", "npm", "chromium", "apt-get", root=False)
    with pytest.raises(pytest.exit.Exception) as ended:
        need_browsers()
    assert str(ended.value.msg) == "The browser tests need firefox: install firefox-esr."
    assert ended.value.returncode == 1


def test_as_root_on_debian_it_installs_what_is_missing_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[list[str]] = []

    def run(words: list[str], **_: Any) -> None:
        ran.append(words)
        only(monkeypatch, "node", "npm", "chromium", "firefox-esr", "apt-get", root=True)

    only(monkeypatch, "node", "npm", "apt-get", root=True)
    monkeypatch.setattr(subprocess, "run", run)
    programs = need_browsers()
    assert (programs.chromium, programs.firefox) == ("/usr/bin/chromium", "/usr/bin/firefox-esr")
    assert ran[-1][-2:] == ["chromium", "firefox-esr"]
    assert "installing chromium firefox-esr with apt-get" in capsys.readouterr().err


def test_what_apt_get_could_not_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "node", "npm", "chromium", "apt-get", root=True)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: None)
    with pytest.raises(pytest.exit.Exception, match="install firefox-esr"):
        need_browsers()
