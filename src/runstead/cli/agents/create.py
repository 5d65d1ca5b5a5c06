"""`runstead agents create`: make an agent; prints its id."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Any, cast

from runstead.cli.client import connect
from runstead.cli.screen import json_line, note, printable
from runstead.errors import Invalid

Json = dict[str, Any]
DEMO_MODEL = "runstead/demo"


def run(given: Namespace) -> int:
    """Make it. Raises `Invalid` for a block without a label, and what the server says against the rest."""
    blocks = [_block(text) for text in given.block or ()]
    with connect(given) as client:
        model = given.model or first_model([str(each["handle"]) for each in client.models()])
        agent = client.create_agent(_body(given, model, blocks))
    if given.json:
        json_line(agent)
        return 0
    print(agent["id"])
    if sys.stdout.isatty():
        note(
            f"{printable(agent['name'])} answers with {printable(model)}; talk to it with `runstead chat {agent['id']}`"
        )
    return 0


def first_model(handles: list[str]) -> str:
    """The first real model, else the demonstration."""
    return next((handle for handle in handles if handle != DEMO_MODEL), DEMO_MODEL)


def _body(given: Namespace, model: str, blocks: list[Json]) -> Json:
    asked = cast("list[str]", given.approve or [])
    tools = list(dict.fromkeys([*cast("list[str]", given.tool or []), *asked]))
    rules = [{"type": "requires_approval", "tool_name": name} for name in asked]
    body: Json = {"name": given.name, "model": model, "memory_blocks": blocks}
    body["include_base_tools"] = not given.no_base_tools
    more: Json = {"system": given.system, "tools": tools or None, "tool_rules": rules or None}
    return body | {name: value for name, value in more.items() if value is not None}


def _block(text: str) -> Json:
    label, found, value = text.partition("=")
    if not (label and found):
        raise Invalid(f"--block wants LABEL=TEXT, like human='Likes short answers.', not {text!r}.")
    return {"label": label, "value": value}
