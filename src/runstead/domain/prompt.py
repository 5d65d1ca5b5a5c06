"""The system prompt: the agent's own text with its memory compiled into it. Pure; the same for a question and for who asks
what a question would say.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from runstead.domain.agent import Agent, Block


def memory_prompt(blocks: Sequence[Block]) -> str:
    """An agent's memory as its model reads it: each block with what it is for and how full it is. Empty without blocks."""
    if not blocks:
        return ""
    lines = ["<memory_blocks>"]
    for block in blocks:
        read_only = ' read_only="true"' if block.read_only else ""
        size = f'chars_used="{len(block.value)}" chars_limit="{block.limit_chars}"'
        lines.append(f'<block label="{escape(block.label)}" {size}{read_only}>')
        if block.description:
            lines.append(f"<description>{block.description}</description>")
        lines += [f"<value>{block.value}</value>", "</block>"]
    lines.append("</memory_blocks>")
    return "\n".join(lines)


def system_prompt(agent: Agent, blocks: Sequence[Block], override: str | None = None) -> str:
    """What stands before a conversation."""
    text = override or agent.system
    return f"{text}\n\n{memory_prompt(blocks)}" if blocks else text
