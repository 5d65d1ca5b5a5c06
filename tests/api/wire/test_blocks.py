"""What a request about a block comes to, and how a block is answered."""

from __future__ import annotations

import pytest

from runstead.api.wire.blocks import BlockUpdate, CreateBlock, block_state, changed_block, new_block
from runstead.clock import ManualClock
from runstead.errors import Unprocessable
from runstead.ids import DEFAULT_USER, BlockId

NOW = ManualClock().now()
BLOCK = new_block(CreateBlock(label="a", value="v", tags=["t"]), BlockId("block-1"), DEFAULT_USER, NOW)


def test_nothing_given_changes_nothing() -> None:
    assert changed_block(BLOCK, BlockUpdate(), NOW) == BLOCK


def test_null_clears_what_can_be_empty_only() -> None:
    body = BlockUpdate.model_validate(
        {"label": None, "value": None, "limit": None, "tags": None, "metadata": None, "description": None}
    )
    assert changed_block(BLOCK, body, NOW) == BLOCK


def test_the_limit_counts_characters() -> None:
    assert changed_block(BLOCK, BlockUpdate(value="äöü", limit=3), NOW).value == "äöü"
    with pytest.raises(Unprocessable):
        changed_block(BLOCK, BlockUpdate(value="äöüß", limit=3), NOW)


def test_both_names_of_a_template_are_answered() -> None:
    named = changed_block(BLOCK, BlockUpdate(template_name="n"), NOW)
    state = block_state(named)
    assert state["name"] == state["template_name"] == "n"
