"""A conversation: a history of its own with an agent. It shares the agent's prompt, tools and memory, and nothing it says.

`isolated` names the blocks that are its own: copies, by label, that stand in the place of the agent's. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from runstead.domain.agent import Agent, Block, ModelSettings
from runstead.ids import AgentId, BlockId, ConversationId, UserId


@dataclass(frozen=True, slots=True)
class ConversationModel:
    """The model that a conversation speaks with in the place of its agent's. `given` is what the client wrote."""

    handle: str | None = None
    context_window_tokens: int | None = None
    settings: ModelSettings | None = None
    given: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as it is stored, without its messages. A deleted one is never read."""

    id: ConversationId
    user_id: UserId
    agent_id: AgentId
    created_at: datetime
    updated_at: datetime
    summary: str | None = None
    last_message_at: datetime | None = None
    last_run_completion: datetime | None = None
    model: ConversationModel = field(default_factory=ConversationModel)
    isolated: Mapping[str, BlockId] = field(default_factory=dict[str, BlockId])

    def agent_of(self, agent: Agent) -> Agent:
        """The agent as it speaks here."""
        own = self.model
        return replace(
            agent,
            model=own.handle or agent.model,
            context_window_tokens=own.context_window_tokens or agent.context_window_tokens,
            settings=own.settings or agent.settings,
        )

    def blocks_of(self, held: Sequence[Block], own: Sequence[Block]) -> tuple[Block, ...]:
        """The memory that is seen here: what the agent holds, with the conversation's own blocks in their place."""
        mine = {block.label: block for block in own}
        seen = [mine.pop(block.label, block) for block in held]
        return (*seen, *mine.values())
