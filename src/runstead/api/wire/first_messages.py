"""What an agent's history begins with: its system message, and the messages its maker gave, which are kept in `extra`."""

from __future__ import annotations

from datetime import datetime

from pydantic import TypeAdapter

from runstead.api.wire.agent_requests import INITIAL_MESSAGES
from runstead.api.wire.messages import MessageCreate, content_parts
from runstead.domain.agent import Agent
from runstead.domain.message import Message, Part, Role, TextPart
from runstead.ids import Ids, MessageId

_KEPT = TypeAdapter(list[MessageCreate])


def first_messages(
    agent: Agent, ids: Ids, now: datetime, *, system_only: bool = False
) -> tuple[Message, ...]:
    """The messages, in their order."""
    system = _message(agent, Role.SYSTEM, (TextPart(agent.system),), ids, now)
    if system_only or INITIAL_MESSAGES not in agent.extra:
        return (system,)
    given = _KEPT.validate_python(agent.extra[INITIAL_MESSAGES])
    return (
        system,
        *(_message(agent, Role(each.role), content_parts(each.content), ids, now) for each in given),
    )


def _message(agent: Agent, role: Role, parts: tuple[Part, ...], ids: Ids, now: datetime) -> Message:
    return Message(
        id=MessageId(f"message-{ids.uuid()}"),
        user_id=agent.user_id,
        agent_id=agent.id,
        role=role,
        created_at=now,
        parts=parts,
    )
