"""State diagrams as tables."""

from __future__ import annotations

import pytest
from website.diagrams import as_tables


def test_changes_between_two_states_are_one_row() -> None:
    """With the start and the end in words; what is around the drawing stays."""
    drawing = "    [*] --> on: made\n    on --> on: kept\n    on --> on: held\n    on --> [*]\n"
    text = f"Before.\n\n```mermaid\nstateDiagram-v2\n{drawing}```\n\nAfter.\n"

    assert as_tables(text) == (
        "Before.\n\n| from | to | by |\n|---|---|---|\n| the start | **on** | made |\n| **on** | **on** | kept, held |\n"
        "| **on** | the end |  |\n\nAfter.\n"
    )


def test_what_is_no_change_is_refused() -> None:
    """Nothing is left out in silence."""
    with pytest.raises(ValueError, match="note"):
        as_tables("```mermaid\nstateDiagram-v2\n    note right of on\n```\n")
