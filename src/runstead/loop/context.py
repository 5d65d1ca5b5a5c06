"""What the model is shown: the system prompt with the memory blocks compiled into it, and the conversation. Pure.

Never asks the store: it is given everything. Sizes are estimates in tokens, four characters each, the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from runstead.domain.agent import Agent, Block
from runstead.domain.message import ImagePart, Mark, Message, Role
from runstead.domain.run import Run
from runstead.domain.tool import ToolSpec
from runstead.llm.types import ModelRequest

CHARS_PER_TOKEN = 4
IMAGE_TOKENS = 800
MESSAGE_OVERHEAD_TOKENS = 4


def system_prompt(agent: Agent, blocks: Sequence[Block], override: str | None) -> str:
    """The system prompt: the agent's own text, then its memory, each block with what it is for and how full it is."""
    text = override or agent.system
    if not blocks:
        return text
    lines = [text, "", "<memory_blocks>"]
    for block in blocks:
        read_only = ' read_only="true"' if block.read_only else ""
        size = f'chars_used="{len(block.value)}" chars_limit="{block.limit_chars}"'
        lines.append(f'<block label="{escape(block.label)}" {size}{read_only}>')
        if block.description:
            lines.append(f"<description>{block.description}</description>")
        lines += [f"<value>{block.value}</value>", "</block>"]
    lines.append("</memory_blocks>")
    return "\n".join(lines)


def request_of(
    agent: Agent,
    run: Run,
    blocks: Sequence[Block],
    messages: Iterable[Message],
    tools: tuple[ToolSpec, ...],
) -> ModelRequest:
    """The question to the model that continues this conversation."""
    return ModelRequest(
        model=run.request.override_model or agent.model,
        system=system_prompt(agent, blocks, run.request.override_system),
        messages=conversation(messages),
        tools=tools,
        settings=agent.settings,
    )


def conversation(messages: Iterable[Message]) -> list[Message]:
    """The turns the model sees: the newest summary first, no system messages, nothing that was abandoned."""
    turns: list[Message] = []
    summary: Message | None = None
    answered = False
    for message in messages:
        role = message.role
        if role is Role.SUMMARY:
            summary = message
        elif role is not Role.SYSTEM and message.mark is not Mark.ABANDONED:
            turns.append(message)
            answered = answered or role is Role.APPROVAL
    if answered:
        turns = _returns_first(turns)
    return turns if summary is None else [summary, *turns]


def _returns_first(turns: list[Message]) -> list[Message]:
    """A call's return right behind the call, although a person's answer came between them."""
    returns = {m.tool_return.call_id: m for m in turns if m.tool_return is not None}
    placed: list[Message] = []
    for message in turns:
        if message.tool_return is None and message.role is not Role.APPROVAL:
            placed.append(message)
        elif message.tool_return is not None and message.tool_return.call_id in returns:
            placed.append(returns.pop(message.tool_return.call_id))
        placed += [returns.pop(call.id) for call in message.tool_calls if call.id in returns]
    return placed


def tokens_of(message: Message) -> int:
    """About how many tokens a message takes."""
    chars = len(message.text)
    chars += sum(len(call.arguments) + len(call.name) for call in message.tool_calls)
    if message.tool_return is not None:
        chars += len(message.tool_return.text)
    images = sum(isinstance(part, ImagePart) for part in message.parts)
    return chars // CHARS_PER_TOKEN + images * IMAGE_TOKENS + MESSAGE_OVERHEAD_TOKENS


def fixed_tokens(agent: Agent, run: Run, blocks: Sequence[Block], tools: Sequence[ToolSpec]) -> int:
    """About how many tokens a question takes before its first message: system prompt, memory and tools."""
    chars = len(system_prompt(agent, blocks, run.request.override_system))
    chars += sum(len(str(tool.parameters)) + len(tool.description) for tool in tools)
    return chars // CHARS_PER_TOKEN


def tokens_of_request(request: ModelRequest) -> int:
    """About how many tokens a whole request takes."""
    tools = sum(len(str(tool.parameters)) + len(tool.description) for tool in request.tools)
    fixed = (len(request.system) + tools) // CHARS_PER_TOKEN
    return fixed + sum(tokens_of(message) for message in request.messages)
