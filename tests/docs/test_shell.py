"""The harness of the pages: a block that fails is found, and what a page starts is ended."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, Block, blocks_of
from tests.docs.shell import Failed, Reader, run_page

PAGE = ROOT / "docs" / "a_page.md"
pytestmark = pytest.mark.slow


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """Somebody who reads with this very Python."""
    return Reader(tmp_path, 1, Path(sys.executable))


@pytest.mark.parametrize(
    "block",
    [
        Block(PAGE, 5, "bash", "echo before\nfalse\necho after\n"),
        Block(PAGE, 5, "bash", "false | cat\n"),
        Block(PAGE, 5, "python", "assert 1 == 2\n"),
    ],
)
def test_what_fails_is_named(block: Block, reader: Reader) -> None:
    """The page ends there, and the failure says where that is."""
    with pytest.raises(Failed, match=r"docs/a_page\.md:5 ended with 1"):
        run_page(
            [Block(PAGE, 1, "bash", "echo fine\n"), block, Block(PAGE, 9, "bash", "touch reached\n")], reader
        )

    assert not (reader.folder / "here" / "reached").exists()


def test_blocks_share_a_shell(reader: Reader) -> None:
    """What one says the next one knows, and ports and hosts are the reader's own."""
    blocks = [
        Block(PAGE, 1, "bash", "WHERE=0.0.0.0:8283\n"),
        Block(PAGE, 4, "bash", 'echo "at $WHERE"; yes | sed 1q >/dev/null\n'),
        Block(PAGE, 7, "python", "print('in', 'Python')\n"),
    ]

    told = run_page(blocks, reader)

    assert "at 127.0.0.1:1\n" in told
    assert "in Python\n" in told


def test_a_mark_is_read(tmp_path: Path) -> None:
    """Of the block right behind it only."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A\n\n<!-- not run: it would burn -->\n\n```bash\nburn\n```\n\n```bash\necho\n```\n\n~~~json\n{}\n~~~\n",
        encoding="utf-8",
    )

    assert [(b.line, b.language, b.reason) for b in blocks_of(page)] == [
        (5, "bash", "it would burn"),
        (9, "bash", None),
        (13, "json", None),
    ]
