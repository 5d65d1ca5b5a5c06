"""What an agent's history begins with: its system message, and the messages its maker gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

from runstead.domain.agent import Agent
from runstead.domain.message import Message, Part, Role, TextPart
from runstead.ids import Ids, MessageId


def first_messages(
    agent: Agent, ids: Ids, now: datetime, *, system_only: bool = False
) -> tuple[Message, ...]:
    """The messages, in their order."""
    system = _message(agent, Role.SYSTEM, (TextPart(agent.system),), ids, now)
    if system_only:
        return (system,)
    given = cast("Sequence[Mapping[str, object]]", agent.extra.get("initial_messages", ()))
    return (system, *(_given(agent, each, ids, now) for each in given))


def _given(agent: Agent, message: Mapping[str, object], ids: Ids, now: datetime) -> Message:
    content = message["content"]
    if isinstance(content, str):
        parts: tuple[Part, ...] = (TextPart(content),)
    else:
        listed = cast("Sequence[Mapping[str, object]]", content)
        parts = tuple(TextPart(str(part["text"])) for part in listed if part.get("text") is not None)
    return _message(agent, Role(str(message["role"])), parts, ids, now)


def _message(
    agent: Agent, role: Role, parts: tuple[Part, ...], ids: Ids, now: datetime
) -> Message:
    return Message(
        id=MessageId(f"message-{ids.uuid()}"),
        user_id=agent.user_id,
        agent_id=agent.id,
        role=role,
        created_at=now,
        parts=parts,
    )
