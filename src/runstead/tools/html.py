"""The text of a page of HTML, a line a paragraph: no script of it is run, no image is fetched. Fetches nothing itself."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

_UNSEEN = "script, style, noscript, template, svg, iframe, object, head"
_BLOCKS = "p, div, br, li, tr, h1, h2, h3, h4, h5, h6, section, article, pre, blockquote, td, th"


def text_of_html(body: bytes) -> str:
    """What a reader of the page would read, its title first."""
    parser: Any = import_module("selectolax.lexbor")
    tree = parser.LexborHTMLParser(body)
    title = tree.css_first("title")
    heading = title.text(strip=True) if title is not None else ""
    for unseen in tree.css(_UNSEEN):
        unseen.decompose()
    for block in tree.css(_BLOCKS):
        block.insert_after("\n")
    text = tree.body.text() if tree.body is not None else ""
    lines = [" ".join(line.split()) for line in cast("str", text).splitlines()]
    return "\n".join(line for line in (heading, *lines) if line)
