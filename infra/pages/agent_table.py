"""``ingest_api/agent/src/catalogue.ts``: the agent's table of signals, log codes and targets."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from schemas.catalogue import Signal, load_catalogue
from schemas.log_codes import load_log_codes

_HEAD = """\
// Generated from schemas/catalogue.toml and schemas/log_codes.toml by `make docs`; do not edit.

/** Families behind each other, each as `family name name ...`; the order is that of the wire. */
function names(table: string): readonly string[] {
  return table.split("|").flatMap((line) => {
    const [family, ...members] = line.split(" ");
    return members.map((member) => `${family}.${member}`);
  });
}

"""


def agent_table() -> str:
    """Return the module. Positions are the indices of the lists."""
    catalogue, codes = load_catalogue(), load_log_codes()
    lists = {
        "NUMBERS": catalogue.numbers,
        "BOOLEANS": catalogue.booleans,
        "CATEGORIES": catalogue.categories,
        "TEXTS": catalogue.texts,
    }
    parts = [_HEAD, f"export const CATALOGUE_VERSION = {catalogue.version};\n"]
    parts += (f"export const {name} = names(\n  {_table(signals)},\n);\n" for name, signals in lists.items())
    parts.append(_object("CODES", ((code.name, code.code) for code in codes.by_code.values())))
    parts.append(_object("TARGETS", codes.targets.items()))
    return "\n".join(parts)


def _table(signals: Iterable[Signal]) -> str:
    lines = []
    for family, members in groupby(signals, key=lambda signal: signal.family):
        lines.append(" ".join((family, *(signal.name.removeprefix(f"{family}.") for signal in members))))
    return '"' + '|" +\n  "'.join(lines) + '"'


def _object(name: str, pairs: Iterable[tuple[str, int]]) -> str:
    rows = "".join(f"  {key}: {value},\n" for key, value in pairs)
    return f"export const {name} = {{\n{rows}}} as const;\n"
