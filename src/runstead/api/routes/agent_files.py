"""Agents as files: one agent out, as a document that any server of this API reads; one in, as a new agent."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, File, Form, Header, Response, UploadFile
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from runstead.api.auth import Caller, Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import AgentPath, find_catalog, find_model, find_record, sealed_secrets
from runstead.api.routes.tools import made_tool
from runstead.api.services import Services
from runstead.api.wire.agent_file import (
    Exported,
    FileAgent,
    messages_in,
    new_tools_in,
    read_file,
    tools_in,
    written,
)
from runstead.api.wire.agent_requests import NewAgent, check_block_labels, handle_of, new_agent
from runstead.api.wire.blocks import new_block
from runstead.api.wire.first_messages import first_messages
from runstead.api.wire.paging import asked
from runstead.domain.pending import open_in, refused
from runstead.errors import Invalid, NotFound, NotImplementedHere
from runstead.ids import AgentId, BlockId, UserId
from runstead.store import agents, conversations, messages
from runstead.store import tools as tool_store
from runstead.store.messages import MessageFilter, MessagePage
from runstead.tools.catalog import Catalog

router = v1_router("agents")

EXPORTED_MAX = 20_000
IMPORTED_REASON = "it was asked before the agent was exported; the answer is given there"
SKILLS_MAX = 1000
_SECRETS = TypeAdapter(dict[str, str])


class ExportQuery(BaseModel):
    """What shall be in the file. `max_steps` is taken and not used: all is in it."""

    max_steps: int = 100
    use_legacy_format: bool = False
    conversation_id: str | None = None
    scrub_messages: bool = False


class ExportForms(BaseModel):
    """The forms of agent files; clients never send them. The reference's document names them here."""

    spec: dict[str, object] | None = None
    legacy_spec: dict[str, object] | None = None


class SkillFile(BaseModel):
    """A skill of the client's that goes into the file."""

    name: str
    files: dict[str, str] | None = None
    source_url: str | None = None


class ExportRequest(BaseModel):
    """What shall be in the file."""

    conversation_id: str | None = None
    scrub_messages: bool = False
    skills: Annotated[list[SkillFile], Field(max_length=SKILLS_MAX)] = []


class ImportedAgents(TypedDict):
    """The agents that were made."""

    agent_ids: list[str]


class ImportForm(BaseModel):
    """What shall be different of an agent that is made of a file. What is meant for a hosted service is not used."""

    append_copy_suffix: bool = True
    override_existing_tools: bool = True
    strip_messages: bool = False
    name: str | None = None
    override_name: str | None = None
    model: str | None = None
    override_model_handle: str | None = None
    embedding: str | None = None
    override_embedding_handle: str | None = None
    project_id: str | None = None
    env_vars_json: str | None = None
    secrets: str | None = None

    def given_secrets(self) -> dict[str, str]:
        """The secrets of the new agent. Raises `Invalid` where they are no JSON object of texts."""
        try:
            return _SECRETS.validate_json(self.secrets or self.env_vars_json or "{}")
        except ValidationError:
            raise Invalid("secrets must be a JSON object whose values are texts.") from None


@router.get("/agents/{agent_id}/export")
@answers(dict[str, object])
async def export_agent(
    agent_id: AgentPath,
    query: Annotated[ExportQuery, asked(ExportQuery)],
    caller: Caller,
    parts: Parts,
    _body: Annotated[ExportForms | None, Body()] = None,
) -> Response:
    """Read an agent as a file, with its own history or that of one of its conversations."""
    if query.use_legacy_format:
        raise NotImplementedHere(
            "The older format of agent files is not offered; leave use_legacy_format out."
        )
    wanted = ExportRequest(conversation_id=query.conversation_id, scrub_messages=query.scrub_messages)
    return Json(await _file(parts, caller.user.id, agent_id, wanted))


@router.post("/agents/{agent_id}/export")
@answers(dict[str, object])
async def export_agent_with_skills(
    agent_id: AgentPath,
    caller: Caller,
    parts: Parts,
    body: Annotated[ExportRequest | None, Body()] = None,
) -> Response:
    """Read an agent as a file, with skills of the client's in it."""
    return Json(await _file(parts, caller.user.id, agent_id, body or ExportRequest()))


@router.post("/agents/import")
@answers(ImportedAgents)
async def import_agent(
    file: Annotated[UploadFile, File()],
    caller: Caller,
    parts: Parts,
    form: Annotated[ImportForm, Form()],
    _x_override_embedding_model: Annotated[str | None, Header(alias="x-override-embedding-model")] = None,
) -> Response:
    """Make an agent of a file: with blocks of its own, and with its messages unless they are stripped."""
    given = read_file(await file.read())
    wanted = given.agents[0]
    tools = tools_in(given)
    catalog = await find_catalog(parts, caller.user.id, tools)
    new_tools = [
        await made_tool(parts, caller.user.id, each) for each in new_tools_in(given, tools, catalog.stored)
    ]
    catalog = Catalog({**catalog.stored, **{tool.name: tool for tool in new_tools}})
    handle = form.model or form.override_model_handle or handle_of(wanted)
    if handle is None:
        raise Invalid("The file names no model; give one in override_model_handle.")
    kept = {each.id: each for each in given.blocks}
    held = [kept[each] for each in wanted.block_ids or () if each in kept]
    blocks = [*held, *(wanted.memory_blocks or ())]
    check_block_labels([block.label for block in blocks])
    name = form.name or form.override_name or wanted.name or "imported"
    secrets = {k: v for k, v in (wanted.secrets or {}).items() if v} | form.given_secrets()
    body = wanted.model_copy(
        update={
            **_other_model(wanted, handle),
            "name": f"{name}_copy" if form.append_copy_suffix else name,
            "tools": list(tools),
            "tool_ids": None,
            "folder_ids": None,
            "source_ids": None,
            "include_base_tools": False,
            "include_base_tool_rules": False,
        }
    )
    now = parts.clock.now()
    model = await find_model(parts, caller.user.id, handle)
    made = NewAgent(AgentId(f"agent-{parts.ids.uuid()}"), caller.user.id, now, model, catalog)
    agent = new_agent(body, made)
    stored = [new_block(b, BlockId(f"block-{parts.ids.uuid()}"), agent.user_id, now) for b in blocks]
    said = [] if form.strip_messages else messages_in(given, agent, parts.ids, now)
    if (asked := open_in(said)) is not None:
        said += refused(asked, IMPORTED_REASON, now, parts.ids.uuid)
    first = said or first_messages(agent, parts.ids, now, system_only=True)
    for tool in new_tools:
        await parts.db.write(tool_store.put_tool, tool)
    sealed = sealed_secrets(parts, agent.id, secrets)
    await parts.db.write(agents.make_agent, agent, stored, (), first, sealed)
    return Json(ImportedAgents(agent_ids=[agent.id]))


async def _file(
    parts: Services, user_id: UserId, agent_id: AgentId, wanted: ExportRequest
) -> dict[str, object]:
    """An agent as a file. Raises `NotFound`."""
    record = await find_record(parts, user_id, agent_id)
    lane = wanted.conversation_id or agent_id
    if wanted.conversation_id is not None and not await parts.db.read(
        conversations.is_conversation, user_id, wanted.conversation_id, agent_id
    ):
        raise NotFound(f"Conversation {wanted.conversation_id} not found")
    where = MessageFilter(agent_id=agent_id, lane=lane)
    page = MessagePage(limit=0 if wanted.scrub_messages else EXPORTED_MAX, ascending=False)
    newest = await parts.db.read(messages.list_messages, user_id, where, page)
    model = parts.gateway.model(record.agent.model)
    file = written(Exported(record, newest[::-1], model, parts.clock.now()))
    return {**file, "skills": [skill.model_dump() for skill in wanted.skills]}


def _other_model(wanted: FileAgent, handle: str) -> dict[str, object]:
    """What of the file's agent does not hold where another model takes the place of its own."""
    if handle != handle_of(wanted):
        return {"model": handle, "llm_config": None, "model_settings": None, "context_window_limit": None}
    # The older form says the same again, with defaults that nobody chose.
    return {} if wanted.model is None else {"llm_config": None}
