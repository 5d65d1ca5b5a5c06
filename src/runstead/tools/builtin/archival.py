"""The tools of archival memory: what the agent wants to keep but not to see all the time, written down and found again.

They write to the store themselves. A call that is run again after a crash writes nothing twice: a passage's id follows from
the call.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import cast

from runstead.domain.archive import PASSAGE_CHARS_MAX, Passage
from runstead.domain.tool import ToolOutcome, ToolSpec
from runstead.ids import ArchiveId, PassageId, stable_id
from runstead.memory.archival import ArchivalMemory
from runstead.store import passages
from runstead.store.database import Database
from runstead.store.passages import PassageFilter
from runstead.tools.registry import (
    Arguments,
    BuiltinTool,
    ToolContext,
    ToolFailure,
    text_argument,
)

FOUND_DEFAULT = 10
FOUND_MAX = 50


def archival_tools(memory: ArchivalMemory) -> tuple[BuiltinTool, ...]:
    """Both of them, over one memory."""
    insert, search = ARCHIVAL_SPECS
    return BuiltinTool(insert, partial(_insert, memory)), BuiltinTool(search, partial(_search, memory))


async def _insert(
    memory: ArchivalMemory, arguments: Arguments, context: ToolContext, db: Database
) -> ToolOutcome:
    text = text_argument(arguments, "content").strip()
    if not text or len(text) > PASSAGE_CHARS_MAX:
        raise ToolFailure(f"content must have from 1 to {PASSAGE_CHARS_MAX} characters.")
    tags = _tags(arguments)
    # A provider may use a call's id again for something else: what is said belongs to the key.
    key = "\0".join((context.run_id, context.call_id, text, *tags))
    passage_id = PassageId(stable_id("passage", key))

    def made(archive_id: ArchiveId) -> Passage:
        return Passage(passage_id, context.user_id, archive_id, text, context.now, context.now, tags)

    await db.write(passages.put_for_agent, context.agent, made, context.now)
    memory.written()
    return ToolOutcome("success", "Written down in archival memory.")


async def _search(
    memory: ArchivalMemory, arguments: Arguments, context: ToolContext, db: Database
) -> ToolOutcome:
    words = text_argument(arguments, "query")
    limit = arguments.get("top_k")
    limit = FOUND_DEFAULT if limit is None else limit
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise ToolFailure("top_k must be a whole number of at least 1.")
    mode = arguments.get("tag_match_mode") or "any"
    if mode not in {"any", "all"}:
        raise ToolFailure("tag_match_mode must be any or all.")
    where = PassageFilter(
        agent_id=context.agent.id,
        tags=_tags(arguments),
        match_all_tags=mode == "all",
        since=_time(arguments, "start_datetime"),
        until=_time(arguments, "end_datetime", whole_day=True),
    )
    found = await memory.search(db, context.user_id, words, where, min(limit, FOUND_MAX))
    if not found:
        return ToolOutcome("success", f"Nothing in archival memory fits {words!r}.")
    lines = [
        f"[{each.passage.created_at:%Y-%m-%d %H:%M} UTC] {each.passage.text}"
        + (f" (tags: {', '.join(each.passage.tags)})" if each.passage.tags else "")
        for each in found
    ]
    return ToolOutcome("success", "\n".join(lines))


def _tags(arguments: Arguments) -> tuple[str, ...]:
    given = cast("list[object]", arguments.get("tags") or [])
    if type(given) is not list or not all(isinstance(tag, str) for tag in given):
        raise ToolFailure("tags must be a list of texts.")
    return tuple(dict.fromkeys(str(tag) for tag in given))


def _time(arguments: Arguments, name: str, *, whole_day: bool = False) -> datetime | None:
    given = arguments.get(name)
    if given is None or given == "":
        return None
    try:
        found = datetime.fromisoformat(str(given))
    except ValueError:
        raise ToolFailure(f"{name} must be a date or a time, as 2026-01-31 or 2026-01-31T09:30.") from None
    if whole_day and len(str(given)) <= len("2026-01-31"):
        found = found.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


_TAGS: dict[str, object] = {"type": "array", "items": {"type": "string"}}

ARCHIVAL_SPECS = (
    ToolSpec(
        "archival_memory_insert",
        "Write something down in archival memory, which you do not see but can search at any time.",
        {
            "type": "object",
            "properties": {
                "content": {"type": "string", "description": "What to keep: whole, and clear by itself."},
                "tags": {**_TAGS, "description": "Words to find it by later."},
            },
            "required": ["content"],
        },
    ),
    ToolSpec(
        "archival_memory_search",
        "Find what you wrote down in archival memory, the best match first.",
        {
            "type": "object",
            "properties": {
                "query": {
                    "type": "string",
                    "description": "What you look for, in words that it may hold or that mean the same.",
                },
                "tags": {**_TAGS, "description": "Only what has these tags."},
                "tag_match_mode": {
                    "type": "string",
                    "enum": ["any", "all"],
                    "description": "Whether one of the tags is enough (any, the default).",
                },
                "top_k": {"type": "integer", "description": "How many at the most."},
                "start_datetime": {
                    "type": "string",
                    "description": "Nothing older: a date or a time (UTC).",
                },
                "end_datetime": {
                    "type": "string",
                    "description": "Nothing newer: a date or a time (UTC).",
                },
            },
            "required": ["query"],
        },
    ),
)
