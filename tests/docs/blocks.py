"""The code blocks of the documents: where each stands, what language it is, and why one does not run where it cannot.

A block that cannot run here has a comment before it that readers do not see: `<!-- not run: the reason -->`. Blocks are
found by a parser of Markdown, so what is found is what is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
_MARK = re.compile(r"<!-- not run: (.{10,}?) -->\s*$")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `reason` says why it is not run; None for one that is."""

    page: Path
    line: int
    language: str
    code: str
    reason: str | None = None

    @property
    def place(self) -> str:
        """`page:line`, as editors open it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def every_page() -> list[Path]:
    """The README and all of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@cache
def every_block() -> tuple[Block, ...]:
    """All blocks of all pages, in order."""
    return tuple(block for page in every_page() for block in blocks_of(page))


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks of one page."""
    before = ""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type in {"fence", "code_block"}:
            assert token.map is not None
            marked = _MARK.search(before)
            yield Block(
                page,
                token.map[0] + 1,
                token.info.split()[0] if token.info else "",
                token.content,
                marked[1] if marked else None,
            )
        before = token.content if token.type == "html_block" else ""
