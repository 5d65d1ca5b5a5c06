"""Agents and their folders, changed in one go: with its first folder an agent gets the tools that look into files, with its
last one they go. Every query names the actor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from runstead.domain.agent import Agent, Block
from runstead.domain.folder import FILE_TOOLS
from runstead.domain.message import Message
from runstead.errors import NotFound
from runstead.ids import UserId
from runstead.store import agents, folders, open_files
from runstead.store.agents import AgentFilter, AgentRecord
from runstead.store.pages import LIMIT_MAX, Page


def make_agent(
    conn: Connection,
    agent: Agent,
    new_blocks: Sequence[Block],
    block_ids: Sequence[str],
    first_messages: Sequence[Message],
    sealed: Mapping[str, bytes | None] | None,
    folder_ids: Sequence[str],
) -> AgentRecord:
    """Store a new agent as `agents.make_agent` does, with folders. Raises as that does, `NotFound` for an unknown folder."""
    record = agents.make_agent(conn, agent, new_blocks, block_ids, first_messages, sealed)
    if not folder_ids:
        return record
    return _set(conn, agent, folder_ids, agent.created_at)


def change_agent(
    conn: Connection,
    user_id: UserId,
    agent_id: str,
    change: Callable[[Agent], Agent],
    block_ids: Sequence[str] | None,
    message_ids: Sequence[str] | None,
    sealed: Mapping[str, bytes | None] | None,
    folder_ids: Sequence[str] | None,
) -> AgentRecord | None:
    """Change an agent as `agents.change_agent` does, and say which folders it holds from then on, where that is said."""
    record = agents.change_agent(conn, user_id, agent_id, change, block_ids, message_ids, sealed)
    if record is None or folder_ids is None:
        return record
    return _set(conn, record.agent, folder_ids, record.agent.updated_at)


def attach(
    conn: Connection, user_id: UserId, agent_id: str, folder_id: str, now: datetime
) -> AgentRecord | None:
    """Give an agent a folder; again changes nothing. None where there is no such agent. Raises `NotFound`."""
    record = _kept(conn, user_id, agent_id, now)
    if record is None:
        return None
    new = _give(conn, record.agent, folder_id, now)
    return _with_tools(conn, record.agent, new=new)


def detach(
    conn: Connection, user_id: UserId, agent_id: str, folder_id: str, now: datetime
) -> AgentRecord | None:
    """Take a folder from an agent; the folder stays. None where there is no such agent. Raises `NotFound`."""
    record = _kept(conn, user_id, agent_id, now)
    if record is None:
        return None
    if folders.find_folder(conn, user_id, folder_id) is None:
        raise no_folder(folder_id)
    if folders.unlink(conn, record.agent.id, folder_id):
        open_files.close_folder(conn, record.agent.id, folder_id)
        return _with_tools(conn, record.agent, new=False)
    return record


def delete_folder(conn: Connection, user_id: UserId, folder_id: str, now: datetime) -> bool:
    """Delete a folder with its files, and take it from every agent that holds it. False where there is none."""
    if folders.find_folder(conn, user_id, folder_id) is None:
        return False
    where, page = AgentFilter(folder_id=folder_id), Page(limit=LIMIT_MAX)
    while holders := agents.list_agents(conn, user_id, where, page):
        for agent in holders:
            detach(conn, user_id, agent.id, folder_id, now)
    folders.delete_folder(conn, user_id, folder_id)
    return True


def no_folder(folder_id: str) -> NotFound:
    """The error that says so."""
    return NotFound(f"Folder {folder_id} not found")


def _kept(conn: Connection, user_id: UserId, agent_id: str, now: datetime) -> AgentRecord | None:
    """An agent that nobody else changes until this ends."""
    return agents.change_agent(conn, user_id, agent_id, lambda agent: replace(agent, updated_at=now))


def _set(conn: Connection, agent: Agent, folder_ids: Sequence[str], now: datetime) -> AgentRecord:
    wanted = dict.fromkeys(folder_ids)
    for folder in folders.folders_of_agent(conn, agent.user_id, agent.id):
        if folder.id not in wanted:
            folders.unlink(conn, agent.id, folder.id)
            open_files.close_folder(conn, agent.id, folder.id)
    new = [_give(conn, agent, folder_id, now) for folder_id in wanted]
    return _with_tools(conn, agent, new=any(new))


def _give(conn: Connection, agent: Agent, folder_id: str, now: datetime) -> bool:
    """Whether the agent did not have the folder before."""
    folder = folders.find_folder(conn, agent.user_id, folder_id)
    if folder is None:
        raise no_folder(folder_id)
    if folder.id in {each.id for each in folders.folders_of_agent(conn, agent.user_id, agent.id)}:
        return False
    folders.link(conn, agent.id, folder.id, now)
    return True


def _with_tools(conn: Connection, agent: Agent, *, new: bool) -> AgentRecord:
    """The agent, with all the tools that look into files where it got a folder, and without them where it has none left."""
    tools, rules = agent.tools, agent.tool_rules
    if new:
        tools = (*tools, *(name for name in FILE_TOOLS if name not in tools))
    elif not folders.folders_of_agent(conn, agent.user_id, agent.id):
        tools = tuple(name for name in tools if name not in FILE_TOOLS)
        rules = tuple(rule for rule in rules if rule.tool_name not in FILE_TOOLS)
    if tools != agent.tools:
        agents.update_agent(conn, replace(agent, tools=tools, tool_rules=rules))
    record = agents.find_record(conn, agent.user_id, agent.id)
    assert record is not None, "it was written in this transaction"
    return record
