"""docs/normalisation.md: what the stage makes of the signals, and its checks."""

from __future__ import annotations

from flows.stages.normalize.fingerprint import LEAST_PARTS, PARTS
from flows.stages.normalize.registry import SUBJECTS
from infra.pages.markdown import GENERATED, table
from schemas.environment import BROWSERS, CHECKS, DENSITIES, DEVICES, ENGINES, GPU_DRIVERS, GPUS, SYSTEMS

_INTRO = """# Normalisation

`normalize` is the third stage. It holds numbers against the catalogue's ranges: an infinite number, or one that is
impossible where the catalogue says `dead`, makes a dead letter; any other outside its range becomes absent. Then it
parses what is text, reconciles what was said twice, and writes the *environment*, which later stages, rules and the
model use, and which ClickHouse's `events` keeps.

The strings are read in caches by value (user agent, renderer, vendor, languages, zone), everything else is column-wise.
Time zones come from the `tzdata` package, never from the machine, so that a replay agrees.

"""
_COLUMNS = (
    ("browser, browser_version", ", ".join(BROWSERS), "by the user agent; the major version"),
    ("engine", ", ".join(ENGINES), "by what the browser can do and how its engine speaks, whatever it says it is"),
    ("engine_version", "number", "of the engine that the user agent names: Chrome/147, Firefox/140, Version/18.5"),
    ("engine_at_least", "number", "the least version of the engine that knows the CSS properties that this one knows"),
    ("system, device", f"{', '.join(SYSTEMS)}; {', '.join(DEVICES)}", "an iPad that names itself a Mac is an iPad"),
    ("system_version", "major.minor", "by client hints where the user agent is frozen: Windows 11, macOS, Android"),
    ("gpu, gpu_driver", f"{', '.join(GPUS)}; {', '.join(GPU_DRIVERS)}", "maker and driver of the unmasked renderer"),
    ("gpu_model", "text", "without maker, driver and ids: GeForce RTX 3060, Adreno 740, M2"),
    ("screen_pixels_wide, _high", "number", "device pixels: CSS pixels times their ratio"),
    ("density", ", ".join(DENSITIES), "class of that ratio: under 1, 1, under 2, under 3, 3 and more"),
    ("timezone_offset", "minutes west of UTC", "by the zone's own rules at the event's time"),
    (
        "fingerprint",
        "hash, 64 bits",
        "of what the machine draws, plays and names; 0 where too little is known, see below",
    ),
    ("checks", "bit set", "the checks below that failed; bit *i* is the *i*-th of `schemas.environment.CHECKS`"),
)
_FINGERPRINT = f"""
## Fingerprint

One hash of six parts, of which at least {LEAST_PARTS} must be known, else it is 0: the first event of a page shows
screen and hardware alone.

{table(("part", "signals"), [(part, ", ".join(f"`{name}`" for name in names)) for part, names in PARTS.items()])}
It is the same at each visit of one browser, on secure and insecure pages, in a turned or zoomed window. It leaves out
what a browser changes by itself (window, version, plugged devices) and what costs an attacker nothing to change (user
agent, languages, time zone). Where noise is found in pictures or sound, both are left out, and the machine under the
noise is recognised.

It is what the browser shows: who changes a part of it has another fingerprint, so counts by it stand beside those by
address, account and card, and replace none. And equal machines share one. Of 5,000 visitors of the simulated
population 65% of the fingerprints are distinct, with 10.6 bits of entropy (12.3 would be all): 93% on Windows, 72% on
Android, 61% on macOS, and 4% on iOS, where all phones of a model draw alike. An update of browser, system or driver may
change it.

## Where the address lies

`country`, `asn`, the middle of the country and the classes of networks come from the files of `enrichers/data`
(`clickgoose data show`; [data.md](data.md)), for IPv4 and IPv6. Private, loopback, documentation and other special
addresses are not known. `clickgoose data update` makes the files from the newest packages.
"""
_CHECKS = """
## Checks

A check fails only where both of its sides are known: what a browser does not show is not held against it. Each is a
feature of the model (`check.<name>`) and an input of smart signals. On 20,000 honest visitors of the simulated
population and on recordings of Chromium 156 and Firefox 153, on pages of secure and insecure origins, the new ones fail
in at most 0.01%; the older `canvas_readback_failed`, `canvas_unstable` (Brave, Firefox's resist-fingerprinting) and
`worker_gpu_contradicts_page` (laptops with two cards) fail in up to 3%, which their consumers know. A Firefox without
a window honestly fails `pointer_contradicts_device`.

Tables of versions and names come from `@mdn/browser-compat-data`, `fpscanner`, `botd`, `fingerprintjs` and the engines'
own sources; each stands beside its source in the code.

"""
_IN_SQL = """
## In ClickHouse

```sql
-- which check fails how often, by decision: names in the order of the bits
WITH [{names}] AS names
SELECT decision, names[bit + 1] AS check, count() AS events
FROM events FINAL ARRAY JOIN bitPositionsToArray(checks) AS bit
GROUP BY decision, check ORDER BY events DESC;
```
"""


def normalisation_page() -> str:
    """Return the page."""
    rows = [
        (CHECKS.index(check.__name__), f"`{check.__name__}`", subject, (check.__doc__ or "").splitlines()[0])
        for subject, checks in SUBJECTS.items()
        for check in checks
    ]
    columns = table(("column", "values", "meaning"), [(f"`{name}`", *rest) for name, *rest in _COLUMNS])
    checks = table(("bit", "check", "subject", "fails where"), sorted(rows))
    names = ", ".join(f"'{name}'" for name in CHECKS)
    return GENERATED + _INTRO + columns + _FINGERPRINT + _CHECKS + checks + _IN_SQL.format(names=names)
