"""Links of a page on their way to the site: what the site holds stays a link, what it does not becomes the name of a file.

Pages are written for who reads them in the repository, so a link may lead to a test or a source file. Code is never touched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|!\[[^\]]*\]\([^)]*\))+)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")


def rewritten(text: str, source: Path, root: Path, homes: Mapping[str, str]) -> str:
    """A page's text with its links as the site needs them.

    `homes` says where in the site a file of the repository is (`docs/cli.md`: `cli.md`); `source` is the page's own file.
    """
    here = PurePosixPath(homes[source.relative_to(root).as_posix()]).parent

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        file = Path(os.path.normpath(source.parent / target)).relative_to(root).as_posix()
        if file in homes:
            return f"[{words}]({os.path.relpath(homes[file], here.as_posix())}{anchor})"
        if (root / file).is_file() and file.startswith("docs/") and not file.endswith(".md"):
            return found[0]
        bare = words.strip("`")
        return f"`{bare}`" if bare in file else f"{words} (`{file}`)"

    return "\n".join(
        line if in_code else _LINK.sub(link, line) for line, in_code in _with_fences(text.split("\n"))
    )


def _with_fences(lines: list[str]) -> list[tuple[str, bool]]:
    """Each line, and whether it is code (the fence itself included)."""
    told: list[tuple[str, bool]] = []
    fence = ""
    for line in lines:
        found = _FENCE.match(line)
        if not fence and found:
            fence = found[1]
            told.append((line, True))
        else:
            told.append((line, bool(fence)))
            if fence and line.strip() == fence:
                fence = ""
    return told
