"""Tools by name."""

from __future__ import annotations

import pytest

from runstead.api.wire.tools import BUILTINS, known_names, names_of, tool_id, tool_state
from runstead.errors import NotFound
from runstead.ids import has_shape


def test_ids_follow_from_names() -> None:
    ids = {tool_id(name) for name in BUILTINS}
    assert len(ids) == len(BUILTINS)
    assert all(has_shape(each, "tool") for each in ids)
    assert names_of([tool_id("web_search"), tool_id("send_message")]) == ("web_search", "send_message")


def test_unknown_names_are_named() -> None:
    assert known_names(["web_search", "run_code", "web_search"]) == ("web_search", "run_code")
    with pytest.raises(NotFound, match="no tools named a, b;"):
        known_names(["a", "web_search", "b"])
    with pytest.raises(NotFound, match="tool-x"):
        names_of(["tool-x"])


def test_a_tool_shows_its_schema_or_says_that_it_is_not_offered() -> None:
    offered = tool_state("send_message")
    schema = offered["json_schema"]
    assert schema is not None
    assert schema["parameters"]["required"] == ["message"]  # type: ignore[index]
    assert "does not offer it" in (tool_state("web_search")["description"] or "")
