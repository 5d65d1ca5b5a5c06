"""The memory tools: the agent edits its own blocks. They read a block as it is now and give it as it would be; the commit
makes it so. They write nothing.

`core_memory_append` and `core_memory_replace` are the older names for older agents; `memory` is one tool for all that is
done to a block, as some clients' agents have it. No tool makes a block or removes one: that is the API's.
"""

from __future__ import annotations

from dataclasses import replace

from runstead.domain.agent import Block
from runstead.domain.tool import ToolOutcome, ToolSpec
from runstead.store import blocks
from runstead.store.database import Database
from runstead.tools.registry import (
    Arguments,
    BuiltinTool,
    ToolContext,
    ToolFailure,
    text_argument,
)


def _schema(required: dict[str, str], **optional: tuple[str, str]) -> dict[str, object]:
    properties: dict[str, object] = {
        name: {"type": "string", "description": about} for name, about in required.items()
    }
    properties |= {name: {"type": kind, "description": about} for name, (kind, about) in optional.items()}
    return {"type": "object", "properties": properties, "required": list(required)}


async def _block(context: ToolContext, label: str, db: Database) -> Block:
    for known in context.blocks:
        if known.label == label:
            # Others may hold it too: what they wrote since the run began is not written over.
            block = await db.read(blocks.find_block, context.user_id, known.id) or known
            if block.read_only:
                raise ToolFailure(f"the block {label!r} is read-only.")
            return block
    labels = ", ".join(block.label for block in context.blocks) or "none"
    raise ToolFailure(f"there is no block labelled {label!r}. Blocks: {labels}.")


def _changed(context: ToolContext, block: Block, value: str) -> ToolOutcome:
    if len(value) > block.limit_chars:
        raise ToolFailure(
            f"the block {block.label!r} would hold {len(value)} characters; its limit is"
            f" {block.limit_chars}. Shorten it first."
        )
    after = replace(block, value=value, updated_at=context.now)
    text = f"The memory block {block.label!r} now reads:\n{value}"
    return ToolOutcome("success", text, blocks=(after,))


def _replaced(value: str, old: str, new: str) -> str:
    if not old:
        raise ToolFailure("the text to replace is empty.")
    count = value.count(old)
    if count != 1:
        where = "does not stand in the block" if count == 0 else f"stands there {count} times"
        raise ToolFailure(f"the text to replace {where}; give a piece that stands there once.")
    return value.replace(old, new)


async def _insert(arguments: Arguments, context: ToolContext, db: Database) -> ToolOutcome:
    block = await _block(context, text_argument(arguments, "label"), db)
    # Models name the text differently; each name is in some client's prompts.
    text = text_argument(arguments, "new_str" if "new_str" in arguments else "new_string")
    return _with_lines(context, block, text, arguments)


def _with_lines(context: ToolContext, block: Block, text: str, arguments: Arguments) -> ToolOutcome:
    line = arguments.get("insert_line", -1)
    if not isinstance(line, int) or isinstance(line, bool):
        raise ToolFailure("insert_line must be a whole number: 0 is the top, -1 the end.")
    lines = block.value.split("\n") if block.value else []
    if line < -1 or line > len(lines):
        raise ToolFailure(f"insert_line must be from 0 to {len(lines)}, or -1 for the end.")
    at = len(lines) if line == -1 else line
    return _changed(context, block, "\n".join([*lines[:at], *text.split("\n"), *lines[at:]]))


async def _replace(arguments: Arguments, context: ToolContext, db: Database) -> ToolOutcome:
    block = await _block(context, text_argument(arguments, "label"), db)
    old = text_argument(arguments, "old_str" if "old_str" in arguments else "old_string")
    new = text_argument(arguments, "new_str" if "new_str" in arguments else "new_string")
    return _changed(context, block, _replaced(block.value, old, new))


async def _rethink(arguments: Arguments, context: ToolContext, db: Database) -> ToolOutcome:
    block = await _block(context, text_argument(arguments, "label"), db)
    return _changed(context, block, text_argument(arguments, "new_memory"))


async def _memory(arguments: Arguments, context: ToolContext, db: Database) -> ToolOutcome:
    command = text_argument(arguments, "command")
    if command not in _COMMANDS:
        raise ToolFailure(f"there is no command {command!r}; there are {' and '.join(_COMMANDS)}.")
    # Some prompts speak of blocks as of files in one folder.
    label = text_argument(arguments, "path").removeprefix("/").removeprefix("memories/")
    block = await _block(context, label, db)
    if command == "insert":
        return _with_lines(context, block, text_argument(arguments, "insert_text"), arguments)
    old, new = text_argument(arguments, "old_str"), text_argument(arguments, "new_str", default="")
    return _changed(context, block, _replaced(block.value, old, new))


async def _append(arguments: Arguments, context: ToolContext, db: Database) -> ToolOutcome:
    block = await _block(context, text_argument(arguments, "label"), db)
    content = text_argument(arguments, "content")
    return _changed(context, block, f"{block.value}\n{content}" if block.value else content)


async def _core_replace(arguments: Arguments, context: ToolContext, db: Database) -> ToolOutcome:
    block = await _block(context, text_argument(arguments, "label"), db)
    old, new = text_argument(arguments, "old_content"), text_argument(arguments, "new_content")
    return _changed(context, block, _replaced(block.value, old, new))


_LABEL = "Label of the memory block."
_COMMANDS = ("str_replace", "insert")

MEMORY_TOOLS = (
    BuiltinTool(
        ToolSpec(
            "memory_insert",
            "Add text to one of your memory blocks, as lines of its own.",
            _schema(
                {"label": _LABEL, "new_str": "The text to add."},
                insert_line=("integer", "Line after which it goes: 0 is the top, -1 (default) the end."),
            ),
        ),
        _insert,
    ),
    BuiltinTool(
        ToolSpec(
            "memory_replace",
            "Replace a piece of one of your memory blocks. The piece must stand there exactly once.",
            _schema(
                {
                    "label": _LABEL,
                    "old_str": "The exact text to replace.",
                    "new_str": "The text that takes its place; empty to delete.",
                }
            ),
        ),
        _replace,
    ),
    BuiltinTool(
        ToolSpec(
            "memory_rethink",
            "Write one of your memory blocks anew, from its first character to its last.",
            _schema({"label": _LABEL, "new_memory": "The whole new text of the block."}),
        ),
        _rethink,
    ),
    BuiltinTool(
        ToolSpec(
            "memory",
            "Edit one of your memory blocks: str_replace puts new_str in the place of old_str, which must stand there"
            " exactly once; insert adds insert_text as lines of its own.",
            _schema(
                {"command": "What to do: str_replace or insert.", "path": _LABEL},
                old_str=("string", "For str_replace: the exact text to replace."),
                new_str=("string", "For str_replace: the text that takes its place; leave it out to delete."),
                insert_text=("string", "For insert: the text to add."),
                insert_line=("integer", "Line after which it goes: 0 is the top, -1 (default) the end."),
            ),
        ),
        _memory,
    ),
    BuiltinTool(
        ToolSpec(
            "core_memory_append",
            "Add text at the end of one of your memory blocks.",
            _schema({"label": _LABEL, "content": "The text to add."}),
        ),
        _append,
    ),
    BuiltinTool(
        ToolSpec(
            "core_memory_replace",
            "Replace a piece of one of your memory blocks. The piece must stand there exactly once.",
            _schema(
                {
                    "label": _LABEL,
                    "old_content": "The exact text to replace.",
                    "new_content": "The text that takes its place; empty to delete.",
                }
            ),
        ),
        _core_replace,
    ),
)
