"""Agents: make, read, list, change, delete, and begin their history anew. What they say and do is not here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

from fastapi import Path, Response
from pydantic import BaseModel

from runstead.api.asking import Asked, asked_by_agents
from runstead.api.auth import Caller, Parts, Sdk1
from runstead.api.quiet import when_quiet
from runstead.api.router import Json, answers, v1_router
from runstead.api.services import Services
from runstead.api.wire.actors import UUID4_PATTERN
from runstead.api.wire.agent_requests import (
    CreateAgentRequest,
    NewAgent,
    ResetMessagesRequest,
    UpdateAgent,
    changed_agent,
    check_block_labels,
    folders_in,
    handle_of,
    new_agent,
    secrets_of,
)
from runstead.api.wire.agents import (
    PENDING_APPROVAL,
    AgentDetails,
    AgentState,
    agent_state,
    wanted_relations,
)
from runstead.api.wire.blocks import new_block
from runstead.api.wire.first_messages import first_messages
from runstead.api.wire.identities import identity_state
from runstead.api.wire.paging import PageQuery, asked
from runstead.domain.actor import User
from runstead.domain.agent import Agent
from runstead.domain.run import StopReason
from runstead.errors import Invalid, NotFound
from runstead.ids import AgentId, BlockId, UserId
from runstead.llm.types import ModelInfo
from runstead.store import agent_folders, identities
from runstead.store import agents as store
from runstead.store import runs as run_store
from runstead.store import tools as tool_store
from runstead.store.agents import AgentFilter, AgentRecord
from runstead.tools.catalog import BUILTINS, Catalog, builtin_name

router = v1_router("agents")

AgentPath = Annotated[AgentId, Path(pattern=f"^agent-{UUID4_PATTERN}$")]
Include = Literal[
    "agent.blocks",
    "agent.identities",
    "agent.managed_group",
    "agent.pending_approval",
    "agent.secrets",
    "agent.sources",
    "agent.tags",
    "agent.tools",
]


class IncludeQuery(BaseModel):
    """Which relations of an agent shall be answered."""

    include: list[Include] = []
    include_relationships: list[str] | None = None


class AgentQuery(PageQuery):
    """Which agents shall be listed."""

    name: str | None = None
    tags: list[str] | None = None
    match_all_tags: bool = False
    query_text: str | None = None
    project_id: str | None = None
    template_id: str | None = None
    base_template_id: str | None = None
    identity_id: str | None = None
    identifier_keys: list[str] | None = None
    include_relationships: list[str] | None = None
    include: list[Include] = []
    order_by: Literal["created_at", "updated_at", "last_run_completion"] = "created_at"
    ascending: bool = False
    sort_by: Literal["created_at", "updated_at", "last_run_completion"] | None = None
    last_stop_reason: StopReason | None = None
    created_by_id: str | None = None

    def filter(self) -> AgentFilter:
        """The store's filter."""
        return AgentFilter(
            name=self.name,
            query_text=self.query_text,
            tags=tuple(self.tags or ()),
            match_all_tags=self.match_all_tags,
            created_by_id=self.created_by_id,
            last_stop_reason=self.last_stop_reason,
            project_id=self.project_id,
            template_id=self.template_id,
            base_template_id=self.base_template_id,
            identity_id=self.identity_id,
            identifier_keys=tuple(self.identifier_keys or ()),
        )


@router.post("/agents/")
@answers(AgentState)
async def create_agent(body: CreateAgentRequest, caller: Caller, parts: Parts) -> Response:
    """Make an agent, with its blocks and the system message that its history begins with."""
    handle = handle_of(body)
    if handle is None:
        raise Invalid("Must specify either model or llm_config in request")
    now = parts.clock.now()
    catalog = await find_catalog(parts, caller.user.id, body.tools or (), body.tool_ids or ())
    model = await find_model(parts, caller.user.id, handle)
    made = NewAgent(AgentId(f"agent-{parts.ids.uuid()}"), caller.user.id, now, model, catalog)
    agent = new_agent(body, made)
    check_block_labels([block.label for block in body.memory_blocks or ()])
    blocks = [
        new_block(block, BlockId(f"block-{parts.ids.uuid()}"), agent.user_id, now)
        for block in body.memory_blocks or ()
    ]
    first = first_messages(agent, parts.ids, now)
    sealed = sealed_secrets(parts, agent.id, secrets_of(body))
    held, given = body.block_ids or (), folders_in(body) or ()
    record = await parts.db.write(agent_folders.make_agent, agent, blocks, held, first, sealed, given)
    return answer_agent(parts, record)


@router.get("/agents/")
@answers(list[AgentState])
async def list_agents(
    query: Annotated[AgentQuery, asked(AgentQuery)], caller: Caller, parts: Parts, sdk1: Sdk1
) -> Response:
    """List agents, newest first unless asked otherwise."""
    page = query.page(query.sort_by or query.order_by)
    page = replace(page, ascending=page.ascending or query.ascending)
    found = await parts.db.read(store.list_records, caller.user.id, query.filter(), page)
    relations = wanted_relations(query.include, query.include_relationships, sdk1=sdk1)
    people = await _identities(parts, caller.user, [each.agent for each in found], relations)
    wanted = [each.agent.id for each in found] if PENDING_APPROVAL in relations else []
    waiting = await asked_by_agents(parts, caller.user.id, wanted)
    return Json(
        [agent_state(each.agent, _details(parts, each, people, waiting), relations) for each in found]
    )


@router.get("/agents/count")
@answers(int)
async def count_agents(
    query: Annotated[AgentQuery, asked(AgentQuery)], caller: Caller, parts: Parts
) -> Response:
    """Count agents."""
    return Json(await parts.db.read(store.count_agents, caller.user.id, query.filter()))


@router.get("/agents/{agent_id}")
@answers(AgentState)
async def retrieve_agent(
    agent_id: AgentPath,
    caller: Caller,
    parts: Parts,
    sdk1: Sdk1,
    query: Annotated[IncludeQuery, asked(IncludeQuery)],
) -> Response:
    """Read an agent."""
    record = await find_record(parts, caller.user.id, agent_id)
    relations = wanted_relations(query.include, query.include_relationships, sdk1=sdk1)
    people = await _identities(parts, caller.user, [record.agent], relations)
    wanted = [record.agent.id] if PENDING_APPROVAL in relations else []
    waiting = await asked_by_agents(parts, caller.user.id, wanted)
    return Json(agent_state(record.agent, _details(parts, record, people, waiting), relations))


@router.patch("/agents/{agent_id}")
@answers(AgentState)
async def modify_agent(agent_id: AgentPath, body: UpdateAgent, caller: Caller, parts: Parts) -> Response:
    """Change what is given of an agent. What its runs write of it (when and how the last one ended) is not for clients."""
    handle = handle_of(body)
    model = None if handle is None else await find_model(parts, caller.user.id, handle)
    catalog = await find_catalog(parts, caller.user.id, tool_ids=body.tool_ids or ())
    change = partial(changed_agent, body=body, model=model, now=parts.clock.now(), catalog=catalog)
    sealed = sealed_secrets(parts, agent_id, secrets_of(body))
    held, kept, given = body.block_ids, body.message_ids, folders_in(body)
    record = await parts.db.write(
        agent_folders.change_agent, caller.user.id, agent_id, change, held, kept, sealed, given
    )
    if record is None:
        raise no_agent(agent_id)
    if {"embedding", "embedding_config"} & body.model_fields_set:
        parts.workshop.memory.model_changed()
    return answer_agent(parts, record)


@router.delete("/agents/{agent_id}")
@answers(dict[str, str])
async def delete_agent(agent_id: AgentPath, caller: Caller, parts: Parts) -> Response:
    """Delete an agent with its messages. Its runs are cancelled first; they and their steps stay, as do its blocks."""
    await find_record(parts, caller.user.id, agent_id)
    await when_quiet(
        parts.cancellation,
        caller.user,
        lambda: parts.db.read(run_store.active_of_agent, caller.user.id, agent_id),
        lambda: parts.db.write(store.delete_agent, caller.user.id, agent_id, parts.clock.now()),
    )
    return Json({"message": f"Agent id={agent_id} successfully deleted"})


@router.patch("/agents/{agent_id}/reset-messages")
@answers(AgentState)
async def reset_messages(
    agent_id: AgentPath,
    caller: Caller,
    parts: Parts,
    body: ResetMessagesRequest | None = None,
    add_default_initial_messages: bool = False,
) -> Response:
    """Empty an agent's history, which begins again with its system message.

    What it is doing there is cancelled; its runs and steps stay.
    """
    record = await find_record(parts, caller.user.id, agent_id)
    whole = add_default_initial_messages or (body or ResetMessagesRequest()).add_default_initial_messages
    first = first_messages(record.agent, parts.ids, parts.clock.now(), system_only=not whole)
    begun = await when_quiet(
        parts.cancellation,
        caller.user,
        lambda: parts.db.read(run_store.active_in_lane, caller.user.id, agent_id),
        lambda: parts.db.write(store.begin_anew, record.agent, first, parts.clock.now()),
    )
    return answer_agent(parts, begun)


async def find_model(parts: Services, user_id: UserId, handle: str) -> ModelInfo:
    """What is known of a model that a request names, under that name. Raises `NotFound` where the actor has none."""
    info = parts.gateway.model(handle) or await parts.own_providers.model(user_id, handle)
    if info is None:
        configured = sorted({provider.name for provider in parts.settings.providers})
        raise NotFound(
            f"Handle {handle[:200]} not found: its provider is not configured. Configured: "
            f"{', '.join((*configured, 'runstead'))}. Set a provider's key or base URL in the server's environment "
            "(OPENAI_API_KEY, ANTHROPIC_API_KEY, OLLAMA_BASE_URL, …), bring your own (POST /v1/providers/), "
            "or use runstead/demo."
        )
    return replace(info, handle=handle)


async def find_record(parts: Services, user_id: UserId, agent_id: str) -> AgentRecord:
    """An agent of this actor. Raises `NotFound`."""
    record = await parts.db.read(store.find_record, user_id, agent_id)
    if record is None:
        raise no_agent(agent_id)
    return record


async def find_catalog(
    parts: Services, user_id: UserId, names: Sequence[str] = (), tool_ids: Sequence[str] = ()
) -> Catalog:
    """The tools that a request names, as far as there are any."""
    own = [name for name in names if name not in BUILTINS]
    ids = [each for each in tool_ids if builtin_name(each) is None]
    if not own and not ids:
        return Catalog()
    found = await parts.db.read(tool_store.tools_named, user_id, own)
    by_id = await parts.db.read(tool_store.tools_with_ids, user_id, ids)
    return Catalog({**found, **{tool.name: tool for tool in by_id.values()}})


def sealed_secrets(
    parts: Services, agent_id: str, given: Mapping[str, str] | None
) -> dict[str, bytes | None] | None:
    """Secrets as they are kept. An empty text is what clients are answered of a secret: it keeps what there is."""
    if given is None:
        return None
    seal = parts.workshop.vault.seal
    return {name: seal(agent_id, name, value) if value else None for name, value in given.items()}


def no_agent(agent_id: str) -> NotFound:
    """The error that says so."""
    return NotFound(f"Agent with ID {agent_id} not found")


def details_of(parts: Services, record: AgentRecord) -> AgentDetails:
    """What an answer says of an agent beside its own row."""
    return AgentDetails(
        record.blocks,
        record.message_ids,
        parts.gateway.model(record.agent.model),
        tools=record.tools,
        secrets=record.secrets,
        embedding=parts.workshop.memory.model(record.agent.embedding),
        folders=record.folders,
        windows=record.windows,
    )


def _details(
    parts: Services, record: AgentRecord, people: Mapping[str, Sequence[dict[str, object]]], waiting: Asked
) -> AgentDetails:
    """The same, with whom it is for and what it waits for."""
    agent_id = record.agent.id
    return replace(
        details_of(parts, record),
        identities=people.get(agent_id, ()),
        pending_approval=waiting.get(agent_id),
    )


def answer_agent(parts: Services, record: AgentRecord) -> Response:
    """An agent in full."""
    return Json(agent_state(record.agent, details_of(parts, record)))


def answer_changed(parts: Services, agent_id: str, record: AgentRecord | None, sdk1: bool) -> Response:
    """An agent after something was given to it or taken from it: the newer clients ask for nothing. Raises `NotFound`."""
    if record is None:
        raise no_agent(agent_id)
    return Json(None) if sdk1 else answer_agent(parts, record)


async def _identities(
    parts: Services, user: User, found: Sequence[Agent], relations: frozenset[str]
) -> Mapping[str, Sequence[dict[str, object]]]:
    """Whom agents are for, by agent; asks for nothing where nobody wants to know."""
    if "identities" not in relations or not any(agent.extra.get("identity_ids") for agent in found):
        return {}
    held = await parts.db.read(identities.identities_on, user.id, found)
    return {
        agent_id: [{**identity_state(one, ids, user.organization_id)} for one, ids in each]
        for agent_id, each in held.items()
    }
