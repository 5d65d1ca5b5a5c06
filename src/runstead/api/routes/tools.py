"""Tools, whoever has them: make, list, read, change, delete, look for, and run a source once.

User code runs in the sandbox, never here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from fastapi import Path, Response

from runstead.api.auth import Caller, Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.services import Services
from runstead.api.wire.actors import UUID4_PATTERN
from runstead.api.wire.events import message_json
from runstead.api.wire.messages import MessageState
from runstead.api.wire.paging import PageQuery, asked
from runstead.api.wire.tools import (
    CodeInput,
    ToolCreate,
    ToolRunFromSource,
    ToolSearchRequest,
    ToolSearchResult,
    ToolState,
    ToolUpdate,
    as_created,
    builtin_state,
    changed_external,
    changed_tool,
    fitness,
    new_tool,
    signature_in,
    stored_state,
)
from runstead.domain.event import Head, ToolReturned
from runstead.domain.mcp_server import EXTERNAL_MCP
from runstead.domain.message import ToolReturn
from runstead.domain.stored_tool import StoredTool
from runstead.domain.tool import ToolOutcome
from runstead.errors import Invalid, NotFound, Unprocessable
from runstead.ids import MessageId, ToolId, UserId, part_otid
from runstead.store import agent_tools
from runstead.store import tools as store
from runstead.store.tools import ToolHead
from runstead.tools.catalog import BUILTINS, TOOL_TYPES, builtin_name, tool_id
from runstead.tools.registry import ToolFailure, limited

router = v1_router("tools")

ToolPath = Annotated[ToolId, Path(pattern=f"^tool-{UUID4_PATTERN}$")]
_LETTA = "letta_"


class ToolFilterQuery(PageQuery):
    """Which tools shall be counted. `search` is looked for in the names, letter case aside."""

    name: str | None = None
    names: list[str] | None = None
    tool_ids: list[str] | None = None
    search: str | None = None
    tool_types: list[str] | None = None
    exclude_tool_types: list[str] | None = None
    return_only_letta_tools: bool | None = False
    exclude_letta_tools: bool | None = False

    def check(self) -> None:
        """Raises `Unprocessable` for a type that is none."""
        for kind in (*(self.tool_types or ()), *(self.exclude_tool_types or ())):
            if kind not in TOOL_TYPES:
                raise Unprocessable(f"{kind[:50]!r} is no type of tool; types are {', '.join(TOOL_TYPES)}.")

    def passes(self, tool: ToolHead) -> bool:
        """Whether a tool is one of them."""
        letta = tool.tool_type.startswith(_LETTA)
        return (
            (self.name is None or tool.name == self.name)
            and (self.names is None or tool.name in self.names)
            and (self.tool_ids is None or tool.id in self.tool_ids)
            and (not self.search or self.search.lower() in tool.name.lower())
            and (not self.tool_types or tool.tool_type in self.tool_types)
            and tool.tool_type not in (self.exclude_tool_types or ())
            and (letta or not self.return_only_letta_tools)
            and not (letta and self.exclude_letta_tools)
        )


class ToolQuery(ToolFilterQuery):
    """Which tools shall be listed."""

    order_by: Literal["created_at"] = "created_at"


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where a page of a list begins and ends."""

    after: str | None
    before: str | None
    limit: int


@router.post("/tools/")
@answers(ToolState)
async def create_tool(body: ToolCreate, caller: Caller, parts: Parts) -> Response:
    """Make a tool of Python source. Where there is one of that name, it becomes what is given here."""
    return Json(stored_state(await _put(parts, caller.user.id, body)))


@router.put("/tools/")
@answers(ToolState)
async def upsert_tool(body: ToolCreate, caller: Caller, parts: Parts) -> Response:
    """Make a tool of Python source, or change the one of that name."""
    return Json(stored_state(await _put(parts, caller.user.id, body)))


@router.get("/tools/")
@answers(list[ToolState])
async def list_tools(query: Annotated[ToolQuery, asked(ToolQuery)], caller: Caller, parts: Parts) -> Response:
    """List tools, newest first unless asked otherwise; those that are built in are the oldest."""
    heads = await _heads(parts, caller.user.id, query)
    if query.order == "desc":
        heads.reverse()
    ids = _cut([head.id for head in heads], _Cut(query.after, query.before, query.limit))
    return Json(await _states(parts, caller.user.id, ids))


@router.get("/tools/count")
@answers(int)
async def count_tools(
    query: Annotated[ToolFilterQuery, asked(ToolFilterQuery)], caller: Caller, parts: Parts
) -> Response:
    """Count tools."""
    return Json(len(await _heads(parts, caller.user.id, query)))


@router.post("/tools/add-base-tools")
@answers(list[ToolState])
async def add_base_tools(_caller: Caller) -> Response:
    """Give everybody the built-in tools. They are always there, so this only lists them."""
    return Json([builtin_state(name) for name in BUILTINS])


@router.post("/tools/generate-schema")
@answers(dict[str, object])
async def generate_json_schema(body: CodeInput, _caller: Caller, parts: Parts) -> Response:
    """The JSON schema that a tool of this source would have."""
    given = ToolCreate(source_code=body.code, source_type=body.source_type or "python")
    try:
        signature = await parts.workshop.custom.resolved(signature_in(given), body.code)
    except ToolFailure as why:
        raise Invalid(_unresolved(why)) from None
    return Json(signature.json_schema)


@router.post("/tools/search")
@answers(list[ToolSearchResult])
async def search_tools(body: ToolSearchRequest, caller: Caller, parts: Parts) -> Response:
    """Look for tools by the words of their names and descriptions, best first."""
    query = ToolFilterQuery(tool_types=body.tool_types)
    query.check()
    heads = await _heads(parts, caller.user.id, query)
    states = await _states(parts, caller.user.id, [head.id for head in heads])
    words = (body.query or "").lower().split()
    wanted = [state for state in states if not body.tags or set(body.tags) & set(state["tags"])]
    scored = sorted(((fitness(state, words), state) for state in wanted), key=lambda each: -each[0])
    found = [(score, state) for score, state in scored if score > 0][: body.limit]
    return Json(
        [
            {
                "tool": state,
                "combined_score": score,
                "embedded_text": None,
                "fts_rank": rank,
                "vector_rank": None,
            }
            for rank, (score, state) in enumerate(found, 1)
        ]
    )


@router.post("/tools/run")
@answers(MessageState)
async def run_tool_from_source(body: ToolRunFromSource, caller: Caller, parts: Parts) -> Response:
    """Run a source once in the sandbox, with these arguments, and answer what a call of it would return."""
    given = ToolCreate(
        source_code=body.source_code,
        source_type=body.source_type or "python",
        json_schema=body.json_schema or ({"name": body.name} if body.name else None),
        args_json_schema=body.args_json_schema if body.args_json_schema is not None else {},
        description=body.name or "run once",
        pip_requirements=body.pip_requirements,
        npm_requirements=body.npm_requirements,
    )
    signature = signature_in(given)
    tool = new_tool(given, signature, (ToolId(""), caller.user.id, parts.clock.now()))
    if body.args_json_schema is None:
        tool = _as_written(tool)
    try:
        outcome = await parts.workshop.custom.call(tool, body.args, body.env_vars or {})
    except ToolFailure as why:
        outcome = ToolOutcome("error", f"Error executing function {tool.name}: {why}")
    outcome = limited(outcome, tool.return_limit_chars)
    message_id = MessageId("message-" + parts.ids.uuid())
    head = Head(message_id, parts.clock.now(), part_otid(message_id, 0), None, name=tool.name)
    result = ToolReturn("null", tool.name, outcome.status, outcome.text, outcome.stdout, outcome.stderr)
    return Json(message_json(ToolReturned(head, result), run_id=None))


@router.get("/tools/{tool_id}")
@answers(ToolState)
async def retrieve_tool(tool_id: ToolPath, caller: Caller, parts: Parts) -> Response:
    """Read a tool."""
    found = await _states(parts, caller.user.id, [tool_id])
    if not found:
        raise no_tool(tool_id)
    return Json(found[0])


@router.patch("/tools/{tool_id}")
@answers(ToolState)
async def modify_tool(tool_id: ToolPath, body: ToolUpdate, caller: Caller, parts: Parts) -> Response:
    """Change what is given of a tool. Agents that have it have what it became."""
    _not_built_in(tool_id)
    before = await parts.db.read(store.find_tool, caller.user.id, tool_id)
    if before is None:
        raise no_tool(tool_id)
    if before.tool_type == EXTERNAL_MCP:
        change = partial(changed_external, body=body)
    else:
        wanted = await made_tool(parts, caller.user.id, as_created(before, body))
        change = partial(changed_tool, wanted=wanted, body=body)
    after = await parts.db.write(agent_tools.change_tool, caller.user.id, tool_id, change)
    if after is None:
        raise no_tool(tool_id)
    return Json(stored_state(after))


@router.delete("/tools/{tool_id}")
@answers(type(None))
async def delete_tool(tool_id: ToolPath, caller: Caller, parts: Parts) -> Response:
    """Delete a tool; agents that have it go on without it."""
    _not_built_in(tool_id)
    await parts.db.write(agent_tools.delete_tool, caller.user.id, tool_id)
    return Json(None)


def no_tool(tool_id: str) -> NotFound:
    """The error that says that there is no such tool."""
    return NotFound(f"Tool with ID {tool_id} not found")


async def _put(parts: Services, user_id: UserId, body: ToolCreate) -> StoredTool:
    return await parts.db.write(store.put_tool, await made_tool(parts, user_id, body))


async def made_tool(parts: Services, user_id: UserId, body: ToolCreate) -> StoredTool:
    """The tool that a request describes. Raises `Invalid`."""
    signature = signature_in(body)
    try:
        signature = await parts.workshop.custom.resolved(signature, body.source_code)
    except ToolFailure as why:
        raise Invalid(_unresolved(why)) from None
    new_id = ToolId("tool-" + parts.ids.uuid())
    return new_tool(body, signature, (new_id, user_id, parts.clock.now()))


async def _heads(parts: Services, user_id: UserId, query: ToolFilterQuery) -> list[ToolHead]:
    """The tools that pass a filter, oldest first. Raises `Unprocessable`."""
    query.check()
    mine = await parts.db.read(store.list_heads, user_id)
    shipped = [ToolHead(tool_id(name), name, kind) for name, kind in BUILTINS.items()]
    return [head for head in (*shipped, *mine) if query.passes(head)]


def _cut(ids: list[ToolId], cut: _Cut) -> list[ToolId]:
    """A page of a list: after one of its items, before another. Raises `NotFound` for a cursor that is not in it."""
    for cursor in (cut.after, cut.before):
        if cursor is not None and cursor not in ids:
            raise NotFound(
                f"No item with the id {cursor[:100]} is in this list; give the id of a listed item."
            )
    begin = 0 if cut.after is None else ids.index(ToolId(cut.after)) + 1
    end = len(ids) if cut.before is None else ids.index(ToolId(cut.before))
    if cut.before is not None and cut.after is None:
        begin = max(begin, end - cut.limit)
    return ids[begin:end][: cut.limit]


async def _states(parts: Services, user_id: UserId, ids: list[ToolId]) -> list[ToolState]:
    mine = [each for each in ids if builtin_name(each) is None]
    stored = await parts.db.read(store.tools_with_ids, user_id, mine) if mine else {}
    found: list[ToolState] = []
    for each in ids:
        name = builtin_name(each)
        if name is not None:
            found.append(builtin_state(name))
        elif each in stored:
            found.append(stored_state(stored[each]))
    return found


def _not_built_in(tool_id: ToolId) -> None:
    if (name := builtin_name(tool_id)) is not None:
        raise Invalid(f"{name} is built in; it can be neither changed nor deleted.")


def _unresolved(why: ToolFailure) -> str:
    return (
        f"The types of the arguments could not be made out by running the source: {why} Give args_json_schema, or use plain"
        " types."
    )


def _as_written(tool: StoredTool) -> StoredTool:
    """The tool without a schema of its arguments, so that its own annotations say what they become."""
    return StoredTool(
        tool.id,
        tool.user_id,
        tool.name,
        tool.created_at,
        tool.updated_at,
        source_code=tool.source_code,
        pip_requirements=tool.pip_requirements,
    )
