"""What a run needs to begin or go on, in one read: its agent, the agent's memory, and the conversation so far."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from runstead.domain.agent import Agent, Block
from runstead.domain.message import Message
from runstead.domain.run import Run
from runstead.domain.stored_tool import StoredTool
from runstead.errors import NotFound
from runstead.store import agents, blocks, conversations, messages, tools


@dataclass(frozen=True, slots=True)
class LoadedTurn:
    """`messages` follow those that were known before, or are all there are where what was known no longer holds.

    `stored` are the agent's tools that do not ship, by name.
    """

    agent: Agent
    blocks: tuple[Block, ...]
    messages: tuple[Message, ...]
    known_holds: bool
    stored: Mapping[str, StoredTool]


def load_turn(conn: Connection, run: Run, known: tuple[Message, ...], shipped: Collection[str]) -> LoadedTurn:
    """Read what a run needs; of the conversation only what `known` does not have, where that can be.

    Raises `NotFound` where the agent or the conversation was deleted.
    """
    agent = agents.find_agent(conn, run.user_id, run.agent_id)
    if agent is None:
        raise NotFound(f"Agent with ID {run.agent_id} not found")
    memory = tuple(blocks.blocks_of_agent(conn, run.user_id, run.agent_id))
    if run.conversation_id is not None:
        own = conversations.find_conversation(conn, run.user_id, run.conversation_id)
        if own is None:
            raise NotFound(f"Conversation {run.conversation_id} not found")
        agent = own.agent_of(agent)
        memory = own.blocks_of(memory, conversations.own_blocks(conn, own))
    stored = tools.tools_named(conn, run.user_id, [name for name in agent.tools if name not in shipped])
    if known:
        newer = messages.in_context(conn, run.lane, known[-1].position)
        if messages.is_whole(conn, run.lane, known, len(newer)):
            return LoadedTurn(agent, memory, tuple(newer), known_holds=True, stored=stored)
    found = tuple(messages.in_context(conn, run.lane))
    return LoadedTurn(agent, memory, found, known_holds=False, stored=stored)
