"""What the model is shown: the system prompt with memory and open files compiled into it, and the conversation. Pure.

Never asks the store: it is given everything. Sizes are estimates in tokens, four characters each, the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runstead.domain.agent import Agent, Block
from runstead.domain.folder import NO_DIRECTORY, Directory
from runstead.domain.message import Message
from runstead.domain.prompt import system_prompt
from runstead.domain.run import Run
from runstead.domain.shown import conversation
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
        user_id=run.user_id,
    )


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
