"""One visit of one client, live: driven by its tool, started from the command line, or made by a person's hands."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.attackers.clients import Client
from tests.attackers.collector import Collector
from tests.attackers.person import sit_down
from tests.attackers.programs import FOLDER, ProgramError, running
from tests.e2e.opened import Opened

CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_DRIVEN_SECONDS = 60.0
_ALONE_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Live:
    """What a visit is made with."""

    programs: dict[str, str]
    display: str
    proxy: int  # a port at which nobody listens


@dataclass(frozen=True, slots=True)
class Visited:
    """What came of a visit."""

    version: str
    events: list[Opened]


def visit(client: Client, live: Live, collector: Collector, seed: int) -> Visited:
    """Make one visit. ProgramError where the client fails or no event arrives."""
    with tempfile.TemporaryDirectory(prefix="clickgoose-visit-", ignore_cleanup_errors=True) as folder:
        profile = Path(folder) / "profile"
        profile.mkdir()
        make = {"driven": _driven, "alone": _alone, "person": _person}[client.how]
        version = make(client, live, collector, profile, seed)
    events = collector.take()
    if not events:
        raise ProgramError(f"{client.name}: no event of this visit arrived.")
    return Visited(version, events)


def environment(live: Live, profile: Path) -> dict[str, str]:
    """Return the environment of a visit: a time zone that fits the address, and no settings of this machine's user."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "XDG_RUNTIME_DIR")}
    return {**kept, "HOME": str(profile.parent), "DISPLAY": live.display, "TZ": "Europe/Berlin", "SE_OFFLINE": "true"}


def _driven(client: Client, live: Live, collector: Collector, profile: Path, seed: int) -> str:
    options = {
        "client": client.name,
        "url": collector.checkout,
        "style": ("typed", "moved", "filled")[seed % 3],
        "seed": seed,
        "profile": str(profile),
        "proxy": live.proxy,
        "chromium": live.programs["chromium"],
        "shell": live.programs["chromium-headless-shell"],
        "chromedriver": live.programs["chromedriver"],
        "firefox": live.programs["firefox-esr"],
    }
    argv = [live.programs["node"], str(FOLDER / "drive.mjs"), json.dumps(options)]
    with running(argv, environment(live, profile), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as driver:
        try:
            out, err = driver.communicate(timeout=_DRIVEN_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ProgramError(f"{client.name}: the visit took more than {_DRIVEN_SECONDS:.0f} s.") from error
    if driver.returncode:
        errors = [line for line in err.splitlines() if "Error" in line] or err.splitlines() or ["no word"]
        raise ProgramError(f"{client.name}: {errors[0].strip()[:300]}")
    return str(json.loads(out.splitlines()[-1])["version"])


def _alone(client: Client, live: Live, collector: Collector, profile: Path, seed: int) -> str:
    """Start a browser without a window from the command line: it loads the page and nobody does anything."""
    program = live.programs[client.program]
    flags = [*client.flags, *CHROMIUM_FLAGS, f"--proxy-server=http://127.0.0.1:{live.proxy}"]
    window = [f"--window-size={(1280, 1366, 1440)[seed % 3]},{(720, 768, 900)[seed % 3]}"] if seed % 3 else []
    argv = [program, *flags, *window, f"--user-data-dir={profile}", collector.checkout]
    with running(argv, environment(live, profile)):
        time.sleep(_ALONE_SECONDS)
    return version_of(program)


def _person(client: Client, live: Live, collector: Collector, profile: Path, seed: int) -> str:
    """Start a browser with a window from the command line; a person's hands do the rest through the X server."""
    program = live.programs[client.program]
    if client.program == "firefox-esr":
        (profile / "user.js").write_text(_firefox_prefs(live.proxy), "utf-8")
        argv = [program, "--no-remote", "--profile", str(profile), "--width", "1280", "--height", "1000"]
    else:
        argv = [program, *CHROMIUM_FLAGS, f"--proxy-server=http://127.0.0.1:{live.proxy}"]
        argv += [f"--user-data-dir={profile}", "--window-size=1280,1000", "--window-position=60,20"]
    env = environment(live, profile)
    with running([*argv, collector.checkout], env):
        sit_down(collector, env, seed)
    return version_of(program)


def _firefox_prefs(proxy: int) -> str:
    """Return the preferences of a profile that asks nobody for anything and shows no page but the one wanted."""
    prefs: dict[str, object] = {
        "browser.aboutwelcome.enabled": False,
        "browser.shell.checkDefaultBrowser": False,
        "browser.startup.homepage_override.mstone": "ignore",
        "datareporting.policy.dataSubmissionEnabled": False,
        "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
        "termsofuse.bypassNotification": True,
        "media.webspeech.synth.dont_notify_on_error": True,  # what "Do not show again" sets
        "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False,
        "network.trr.mode": 5,
        "services.settings.server": "data:,",
        "toolkit.telemetry.enabled": False,
        "network.proxy.type": 1,
        "network.proxy.http": "127.0.0.1",
        "network.proxy.http_port": proxy,
        "network.proxy.ssl": "127.0.0.1",
        "network.proxy.ssl_port": proxy,
    }
    return "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in prefs.items())


def version_of(program: str) -> str:
    """Return what a program says of its version."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    return said.stdout.strip() or Path(program).name
