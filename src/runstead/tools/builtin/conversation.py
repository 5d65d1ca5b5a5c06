"""The tools about the conversation itself: searching what was said, and saying something to the user."""

from __future__ import annotations

from typing import cast

from runstead.domain.message import Role
from runstead.domain.tool import ToolOutcome, ToolSpec
from runstead.store import messages
from runstead.store.database import Database
from runstead.tools.registry import (
    Arguments,
    BuiltinTool,
    ToolContext,
    ToolFailure,
    text_argument,
)

FOUND_DEFAULT = 10
FOUND_MAX = 50
_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "tool": Role.TOOL}


async def _search(arguments: Arguments, context: ToolContext, db: Database) -> ToolOutcome:
    words = text_argument(arguments, "query")
    limit = arguments.get("limit", FOUND_DEFAULT)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise ToolFailure("limit must be a whole number of at least 1.")
    asked = cast("list[object]", arguments.get("roles") or list(_ROLES))
    if type(asked) is not list or any(role not in _ROLES for role in asked):
        raise ToolFailure(f"roles must be a list of some of {', '.join(_ROLES)}.")
    found = await db.read(
        messages.search_messages,
        context.user_id,
        context.agent.id,
        words,
        [_ROLES[str(role)] for role in asked],
        min(limit, FOUND_MAX),
    )
    if not found:
        return ToolOutcome("success", f"Nothing that was said holds {words!r}.")
    lines = [
        f"[{m.created_at:%Y-%m-%d %H:%M} UTC] {m.role.value}: "
        + (m.tool_return.text if m.tool_return else m.text)
        for m in found
    ]
    return ToolOutcome("success", "\n".join(lines))


async def _send(arguments: Arguments, _context: ToolContext, _db: Database) -> ToolOutcome:
    text_argument(arguments, "message")
    return ToolOutcome("success", "Sent message successfully.")


CONVERSATION_TOOLS = (
    BuiltinTool(
        ToolSpec(
            "conversation_search",
            "Find earlier messages of this conversation by words they hold, newest first.",
            {
                "type": "object",
                "properties": {
                    "query": {"type": "string", "description": "Words that stand in the message."},
                    "roles": {
                        "type": "array",
                        "items": {"type": "string", "enum": list(_ROLES)},
                        "description": "Whose messages; everybody's if left out.",
                    },
                    "limit": {"type": "integer", "description": "How many at the most."},
                },
                "required": ["query"],
            },
        ),
        _search,
    ),
    BuiltinTool(
        ToolSpec(
            "send_message",
            "Say something to the user.",
            {
                "type": "object",
                "properties": {"message": {"type": "string", "description": "What to say."}},
                "required": ["message"],
            },
        ),
        _send,
    ),
)
