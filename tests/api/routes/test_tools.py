"""Tools over HTTP: made of source, listed beside what is built in, changed, deleted, and run once."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.conftest import Api

from runstead.tools.catalog import BUILTINS, tool_id

UNKNOWN = "tool-11111111-1111-4111-8111-111111111111"


def source_of(name: str, body: str = "return sides * 2") -> str:
    """A function of one number."""
    return f'''def {name}(sides: int) -> int:
    """Roll it.

    Args:
        sides (int): How many sides.
    """
    {body}
'''


async def made(api: Api, name: str = "roll", **more: Any) -> dict[str, Any]:
    """A new tool, a second after the last."""
    api.clock.advance(1)
    return await api.json("POST", "/v1/tools/", json={"source_code": source_of(name), **more})


async def test_make_read_change_delete(api: Api) -> None:
    tool = await made(
        api,
        tags=["dice", "dice"],
        return_char_limit=99,
        pip_requirements=[{"name": "httpx", "version": "0.28.1"}],
        default_requires_approval=True,
        enable_parallel_execution=True,
    )
    assert (tool["name"], tool["tool_type"], tool["tags"]) == ("roll", "custom", ["dice"])
    assert tool["json_schema"]["parameters"]["required"] == ["sides"]
    assert tool["json_schema"]["description"] == tool["description"] == "Roll it."
    assert (tool["return_char_limit"], tool["enable_parallel_execution"]) == (99, True)
    assert tool["pip_requirements"] == [{"name": "httpx", "version": "0.28.1"}]
    path = f"/v1/tools/{tool['id']}"
    assert await api.json("GET", path) == tool

    changed = await api.json("PATCH", path, json={"description": "Better.", "metadata_": {"a": 1}})
    assert (changed["description"], changed["json_schema"]["description"]) == ("Better.", "Better.")
    assert changed["metadata_"] == {"a": 1}
    assert changed["pip_requirements"] == tool["pip_requirements"]
    renamed = await api.json("PATCH", path, json={"source_code": source_of("throw_it")})
    assert (renamed["name"], renamed["id"], renamed["tags"]) == ("throw_it", tool["id"], ["dice"])
    assert renamed["description"] == "Roll it."

    assert await api.json("DELETE", path) is None
    for method in ("GET", "DELETE", "PATCH"):
        missing = await api.json(method, path, 404, json={} if method == "PATCH" else None)
        assert missing == {"detail": f"Tool with ID {tool['id']} not found"}


async def test_the_same_name_is_the_same_tool(api: Api) -> None:
    first = await made(api)
    again = await made(api, description="Anew.")
    put = await api.json("PUT", "/v1/tools/", json={"source_code": source_of("roll", "return 1")})
    assert first["id"] == again["id"] == put["id"]
    assert (again["description"], put["description"]) == ("Anew.", "Roll it.")
    assert await api.json("GET", "/v1/tools/count?tool_types=custom") == 1
    other = await made(api, "other")
    taken = await api.json("PATCH", f"/v1/tools/{other['id']}", 400, json={"source_code": source_of("roll")})
    assert "Another tool is named 'roll'" in taken["detail"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"source_code": "def f(x: int): ..."}, 400, "needs a docstring"),
        ({"source_code": source_of("send_message")}, 400, "built in"),
        ({"source_code": source_of("f" * 65)}, 400, "65 characters"),
        ({"source_code": source_of("würfeln")}, 400, "a to z"),
        ({"source_code": source_of("f"), "source_type": "typescript"}, 400, "python"),
        ({"source_code": source_of("f"), "json_schema": {"name": "g"}}, 400, "defines f"),
        ({"source_code": "def f(): ...", "args_json_schema": {}}, 400, "description"),
        ({"source_code": source_of("f"), "pip_requirements": [{"name": "x @ http://y"}]}, 400, "no name"),
        (
            {"source_code": source_of("f"), "pip_requirements": [{"name": "x", "version": "-r"}]},
            400,
            "no version",
        ),
        ({"source_code": source_of("f"), "return_char_limit": 0}, 422, "return_char_limit"),
        ({}, 422, "source_code"),
    ],
)
async def test_what_cannot_be_a_tool_is_told_why(api: Api, body: Any, status: int, says: str) -> None:
    answer = await api.json("POST", "/v1/tools/", status, json=body)
    assert says in str(answer["detail"])
    assert await api.json("GET", "/v1/tools/count?exclude_letta_tools=true") == 0


async def test_a_schema_of_the_arguments_counts_before_the_source(api: Api) -> None:
    schema = {
        "title": "Data",
        "type": "object",
        "properties": {"data": {"$ref": "#/$defs/Entry"}, "change": {"type": "integer"}},
        "required": ["data"],
        "$defs": {"Entry": {"type": "object", "properties": {"name": {"type": "string"}}}},
    }
    body = {
        "source_code": 'def manage(data: Entry, change: int):\n    """Manage."""\n    return data.name * change',
        "args_json_schema": schema,
    }
    tool = await api.json("POST", "/v1/tools/", json=body)
    parameters = tool["json_schema"]["parameters"]
    assert parameters["properties"]["data"] == schema["$defs"]["Entry"]  # type: ignore[index]
    assert "$defs" not in parameters
    assert tool["args_json_schema"] == schema
    args = {"data": {"name": "ab"}, "change": 2}
    ran = await api.json("POST", "/v1/tools/run", json={**body, "args": args})
    assert (ran["status"], ran["tool_return"]) == ("success", "abab")


async def test_lists_hold_what_is_built_in_too(api: Api) -> None:
    mine = [await made(api, f"tool_{letter}") for letter in "abc"]
    everything = await api.json("GET", "/v1/tools/")
    assert [tool["name"] for tool in everything[:3]] == ["tool_c", "tool_b", "tool_a"]
    assert {tool["name"] for tool in everything[3:]} == set(BUILTINS)
    ids = [tool["id"] for tool in everything]
    walked: list[str] = []
    while page := await api.json("GET", f"/v1/tools/?limit=4{'&after=' + walked[-1] if walked else ''}"):
        walked += [tool["id"] for tool in page]
    assert walked == ids
    before = await api.json("GET", f"/v1/tools/?limit=2&before={ids[4]}")
    assert [tool["id"] for tool in before] == ids[2:4]
    upward = await api.json("GET", "/v1/tools/?order=asc&limit=1000")
    assert [tool["id"] for tool in upward] == ids[::-1]
    await api.json("GET", f"/v1/tools/?after={UNKNOWN}", 404)
    for query, names in (
        ("name=tool_a", ["tool_a"]),
        ("names=tool_a&names=run_code", ["tool_a", "run_code"]),
        (f"tool_ids={mine[1]['id']}&tool_ids={tool_id('web_search')}", ["tool_b", "web_search"]),
        ("search=TOOL_", ["tool_c", "tool_b", "tool_a"]),
        ("tool_types=custom&search=_b", ["tool_b"]),
        ("exclude_tool_types=custom&search=o_", []),
    ):
        found = await api.json("GET", f"/v1/tools/?{query}")
        assert [tool["name"] for tool in found] == names, query
        assert await api.json("GET", f"/v1/tools/count?{query}") == len(names)
    letta = await api.json("GET", "/v1/tools/?return_only_letta_tools=true")
    assert {tool["name"] for tool in letta} == set(BUILTINS)
    await api.json("GET", "/v1/tools/?tool_types=odd", 422)
    assert [t["name"] for t in await api.json("POST", "/v1/tools/add-base-tools")] == list(BUILTINS)


async def test_what_is_built_in_stays_as_it_is(api: Api) -> None:
    path = f"/v1/tools/{tool_id('run_code')}"
    assert (await api.json("GET", path))["tool_type"] == "letta_builtin"
    for method, body in (("PATCH", {"description": "x"}), ("DELETE", None)):
        answer = await api.json(method, path, 400, json=body)
        assert "built in" in answer["detail"]


async def test_tools_are_found_by_words(api: Api) -> None:
    await made(api, "weather_of_tomorrow", description="Tells the forecast.", tags=["sky"])
    await made(api, "roll", description="Not the weather.")
    found = await api.json("POST", "/v1/tools/search", json={"query": "Weather", "tool_types": ["custom"]})
    assert [(each["tool"]["name"], each["combined_score"]) for each in found] == [
        ("weather_of_tomorrow", 1.0),
        ("roll", 0.5),
    ]
    tagged = await api.json("POST", "/v1/tools/search", json={"tags": ["sky"], "limit": 1})
    assert [each["tool"]["name"] for each in tagged] == ["weather_of_tomorrow"]


async def test_a_schema_is_told_without_a_tool(api: Api) -> None:
    schema = await api.json("POST", "/v1/tools/generate-schema", json={"code": source_of("roll")})
    assert schema["name"] == "roll"
    assert await api.json("GET", "/v1/tools/count?tool_types=custom") == 0


@pytest.mark.slow
async def test_a_source_is_run_once(api: Api) -> None:
    body = {
        "source_code": source_of("roll", 'import os; print("hi"); return f"{sides} {os.environ[\'KEY\']}"'),
        "args": {"sides": 3},
        "env_vars": {"KEY": "k"},
    }
    ran = await api.json("POST", "/v1/tools/run", json=body)
    assert (ran["message_type"], ran["status"], ran["tool_return"]) == (
        "tool_return_message",
        "success",
        "3 k",
    )
    assert (ran["stdout"], ran["name"]) == (["hi\n"], "roll")
    assert await api.json("GET", "/v1/tools/count?tool_types=custom") == 0
    failing = {"source_code": "def f():\n    return 1 / 0", "args": {}}
    failed = await api.json("POST", "/v1/tools/run", json=failing)
    assert failed["status"] == "error"
    assert failed["tool_return"].startswith("Error executing function f: ZeroDivisionError: division by zero")
    assert 'File "tool.py", line 2, in f' in failed["stderr"][0]
    assert "/work" not in failed["tool_return"] + failed["stderr"][0]


@pytest.mark.slow
async def test_classes_of_the_source_are_arguments_too(api: Api) -> None:
    code = '''
from enum import Enum
from pydantic import BaseModel

class Size(Enum):
    SMALL = "small"
    LARGE = "large"

class Order(BaseModel):
    name: str
    size: Size

def order(what: Order, sizes: list[Size]) -> str:
    """Order it.

    Args:
        what (Order): What to order.
        sizes (list[Size]): Sizes.
    """
    return f"{what.name} {what.size.name} {[s.name for s in sizes]}"
'''
    tool = await api.json("POST", "/v1/tools/", json={"source_code": code})
    properties = tool["json_schema"]["parameters"]["properties"]
    assert properties["what"]["properties"]["size"]["enum"] == ["small", "large"]
    assert properties["what"]["description"] == "What to order."
    args = {"what": {"name": "tea", "size": "large"}, "sizes": ["small"]}
    ran = await api.json("POST", "/v1/tools/run", json={"source_code": code, "args": args})
    assert ran["tool_return"] == "tea LARGE ['SMALL']"
    broken = code.replace("what: Order", "what: Nowhere")
    answer = await api.json("POST", "/v1/tools/", 400, json={"source_code": broken})
    assert "Nowhere" in answer["detail"]
