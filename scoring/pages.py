"""What pages of figures are made of: no script, nothing from elsewhere, readable in light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #b6bec8; --paper: #ffffff; --panel: #f4f6f8;
  --honest: #2b6cb0; --fraud: #c2410c; --good: #1a7f37; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --faint: #4b5563; --paper: #14171b; --panel: #1e2329;
  --honest: #63a4e8; --fraud: #fb923c; --good: #56d364; --bad: #ff7b72; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 66rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: 0.5rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: 0.15rem 0.9rem 0.15rem 0; text-align: right; border-bottom: 1px solid var(--faint); }
th { font-weight: 600; } th:first-child, td:first-child { text-align: left; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(28rem, 1fr)); gap: 1rem; }
figure { margin: 0; padding: 0.6rem; background: var(--panel); border-radius: 6px; }
figure svg { width: 100%; height: auto; } figcaption { font-weight: 600; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 0 2rem;
  align-items: start; }
.good { color: var(--good); } .bad { color: var(--bad); } code { font-size: 0.92em; }
.bar { display: inline-block; height: 0.6em; background: var(--honest); }
""".strip()
_WIDEST_BAR = 8  # rem


def document(title: str, parts: Iterable[str]) -> str:
    """Return a whole page; its parts are HTML."""
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def plots(drawn: Mapping[str, str]) -> str:
    """Return plots beside each other: caption -> SVG."""
    figures = (f"<figure><figcaption>{escape(caption)}</figcaption>{svg}</figure>" for caption, svg in drawn.items())
    return '<div class="plots">' + "\n".join(figures) + "</div>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are HTML."""
    first = "".join(f"<th>{escape(name)}</th>" for name in head)
    rest = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>\n<tr>{first}</tr>\n{rest}\n</table>"


def columns(parts: Iterable[str]) -> str:
    """Return parts beside each other, where there is room."""
    return '<div class="columns">' + "\n".join(parts) + "</div>"


def bars(rows: Sequence[tuple[str, float, str]]) -> list[tuple[str, str, str]]:
    """Return rows of name, number and what is said of it as the cells of a table, the number as a bar."""
    most = max((value for _, value, _ in rows), default=0.0) or 1.0
    return [
        (f"<code>{escape(name)}</code>", said, f'<span class="bar" style="width: {value / most * _WIDEST_BAR:.2f}rem">'
         "</span>")
        for name, value, said in rows
    ]  # fmt: skip


def words(name: str) -> str:
    """Return a name of code as words."""
    return escape(name.replace("_", " "))
