"""State diagrams become tables: a browser needs a library to draw Mermaid, and the site asks nobody for one."""

from __future__ import annotations

import re

_BLOCK = re.compile(r"^```mermaid\nstateDiagram-v2\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CHANGE = re.compile(r"^\s*(\S+) --> ([^\s:]+)(?:: (.*))?$")
_OUTSIDE = "[*]"


def as_tables(text: str) -> str:
    """A page's text with each state diagram as a table of its changes. Raises `ValueError` for a line that is no change."""
    return _BLOCK.sub(lambda found: _table(found[1]), text)


def _table(drawing: str) -> str:
    rows: dict[tuple[str, str], list[str]] = {}
    for line in drawing.strip().splitlines():
        found = _CHANGE.match(line)
        if found is None:
            raise ValueError(f"no change of a state: {line!r}")
        rows.setdefault((found[1], found[2]), []).append(found[3] or "")
    lines = ["| from | to | by |", "|---|---|---|"]
    lines += [
        f"| {_state(a, 'the start')} | {_state(b, 'the end')} | {', '.join(by)} |"
        for (a, b), by in rows.items()
    ]
    return "\n".join(lines)


def _state(name: str, outside: str) -> str:
    return outside if name == _OUTSIDE else f"**{name}**"
