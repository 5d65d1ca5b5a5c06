"""The page about the API's operations tells what is so."""

from __future__ import annotations

from pathlib import Path

from tests.compat.operations import PAGE, page


def test_the_page_is_current(shared_facts: Path) -> None:
    """docs/operations_of_the_api.md is what `python -m tests.compat.operations` writes now."""
    assert shared_facts.is_dir()
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.compat.operations"
