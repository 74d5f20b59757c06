"""docs/signals.md and docs/log-codes.md: the two catalogues of the wire."""

from __future__ import annotations

from infra.pages.markdown import GENERATED, table
from schemas.catalogue import Signal, load_catalogue
from schemas.log_codes import load_log_codes

_CLASSES = {1: "lifecycle", 2: "progress", 3: "attention", 4: "input", 5: "errors"}


def signals_page() -> str:
    """Return the page of signals, a table a family."""
    catalogue = load_catalogue()
    numbers, booleans, categories, texts = catalogue.counts()
    parts = [
        GENERATED,
        f"# Signals\n\nCatalogue version {catalogue.version}: {len(catalogue)} signals ({numbers} numbers, {booleans} "
        f"booleans, {categories} categories, {texts} texts), declared in `schemas/catalogue.toml`. Digest "
        f"`{catalogue.digest()[:16]}`.\n",
    ]
    for family, doc in catalogue.families.items():
        signals = [signal for signal in catalogue.by_name.values() if signal.family == family]
        rows = [(f"`{s.name}`", s.kind, s.position, _range(s), s.doc) for s in signals]
        parts.append(f"\n## {family}\n\n{doc}\n\n" + table(("signal", "kind", "position", "range", "meaning"), rows))
    return "".join(parts)


def _range(signal: Signal) -> str:
    if signal.kind != "number":
        return ""
    outside = "dead letter" if signal.outside == "dead" else "null"
    return f"{signal.minimum:g} to {signal.maximum:g} {signal.unit}; outside: {outside}"


def log_codes_page() -> str:
    """Return the page of log codes."""
    codes = load_log_codes()
    rows = [
        (code.code, f"`{code.name}`", code.category, code.severity, code.colour, code.value)
        for code in sorted(codes.by_code.values(), key=lambda code: code.code)
    ]
    classes = ", ".join(f"{number}xx {name}" for number, name in _CLASSES.items())
    targets = ", ".join(f"`{name}` {number}" for name, number in codes.targets.items())
    head = f"# Log codes\n\nClasses as with HTTP: {classes}. Declared in `schemas/log_codes.toml`.\n\n"
    heads = ("code", "name", "category", "severity", "colour", "value")
    tail = f"\nTargets, the class of the field that an entry is about: {targets}.\n"
    return GENERATED + head + table(heads, rows) + tail
