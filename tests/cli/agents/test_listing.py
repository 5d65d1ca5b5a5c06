"""`runstead agents list`: lines in a pipe, JSON for programs."""

from __future__ import annotations

import json

import pytest
from tests.cli.conftest import Typed
from tests.serving import Client

pytestmark = pytest.mark.slow


def test_lines_and_json(typed: Typed, client: Client, mark: str) -> None:
    """Newest first, of one name."""
    ids = [client.agent(name=mark) for _ in range(2)]

    head, *rows = [line.split("\t") for line in typed("agents", "list", "--name", mark).out.splitlines()]

    assert head[:3] == ["ID", "NAME", "MODEL"]
    assert [row[:3] for row in rows] == [[id_, mark, "openai/story"] for id_ in reversed(ids)]
    listed = typed("agents", "list", "--name", mark, "--limit", "1", "--json").out
    assert [json.loads(line)["id"] for line in listed.splitlines()] == ids[1:]


def test_a_limit_that_is_none(typed: Typed) -> None:
    """At least one."""
    assert "at least 1" in typed("agents", "list", "--limit", "0").error
