"""Tools by name and id."""

from __future__ import annotations

import pytest
from tests.store.test_tools import TOOL

from runstead.errors import NotFound
from runstead.ids import has_shape
from runstead.tools.catalog import BUILTINS, Catalog, builtin_name, tool_id
from runstead.tools.shipped import SPECS

CATALOG = Catalog({"roll": TOOL})


def test_ids_follow_from_names() -> None:
    """The same on every server, in the shape of all ids."""
    ids = {tool_id(name) for name in BUILTINS}
    assert len(ids) == len(BUILTINS)
    assert all(has_shape(each, "tool") for each in ids)
    assert {builtin_name(each) for each in ids} == set(BUILTINS)
    assert set(SPECS) <= set(BUILTINS)


def test_names_and_ids_are_looked_up_together() -> None:
    """What ships and what an actor made; each once, and what is unknown is named."""
    assert CATALOG.names(["web_search", "roll", "web_search"]) == ("web_search", "roll")
    assert CATALOG.names_of([TOOL.id, tool_id("send_message")]) == ("roll", "send_message")
    with pytest.raises(NotFound, match=r"no tools named a, b\. Built in: "):
        CATALOG.names(["a", "web_search", "b"])
    with pytest.raises(NotFound, match="tool-x"):
        CATALOG.names_of(["tool-x"])
    with pytest.raises(NotFound):
        Catalog().names(["roll"])


def test_a_tool_may_ask_for_approval_by_itself() -> None:
    """Of the built-in ones none does."""
    assert CATALOG.approval_by_default(["web_search", "roll", "x"]) == ("roll",)
