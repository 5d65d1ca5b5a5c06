"""What the model is shown: the system prompt with memory and open files compiled into it, and the conversation. Pure.

Never asks the store: it is given everything. Sizes are estimates in tokens, four characters each, the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runstead.domain.agent import Agent, Block
from runstead.domain.folder import NO_DIRECTORY, Directory
from runstead.domain.message import Mark, Message, Role
from runstead.domain.prompt import system_prompt
from runstead.domain.run import Run
from runstead.domain.tokens import CHARS_PER_TOKEN, chars_of_tools, tokens_of
from runstead.domain.tool import ToolSpec
from runstead.llm.types import ModelRequest


def request_of(
    agent: Agent,
    run: Run,
    blocks: Sequence[Block],
    messages: Iterable[Message],
    tools: tuple[ToolSpec, ...],
    directory: Directory = NO_DIRECTORY,
) -> ModelRequest:
    """The question to the model that continues this conversation."""
    return ModelRequest(
        model=run.request.override_model or agent.model,
        system=system_prompt(agent, blocks, run.request.override_system, directory),
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


def fixed_tokens(
    agent: Agent,
    run: Run,
    blocks: Sequence[Block],
    tools: Sequence[ToolSpec],
    directory: Directory = NO_DIRECTORY,
) -> int:
    """About how many tokens a question takes before its first message: system prompt, memory, open files and tools."""
    chars = len(system_prompt(agent, blocks, run.request.override_system, directory))
    return (chars + chars_of_tools(tools)) // CHARS_PER_TOKEN


def tokens_of_request(request: ModelRequest) -> int:
    """About how many tokens a whole request takes."""
    fixed = (len(request.system) + chars_of_tools(request.tools)) // CHARS_PER_TOKEN
    return fixed + sum(tokens_of(message) for message in request.messages)
