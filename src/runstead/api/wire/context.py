"""What an agent's next question would hold, in tokens and in words, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import TypedDict

from runstead.api.wire.stored_messages import StoredMessageState, stored_message_state
from runstead.domain.agent import Agent, Block
from runstead.domain.folder import NO_DIRECTORY, Directory
from runstead.domain.message import Mark, Message, Role
from runstead.domain.prompt import directory_prompt, memory_prompt
from runstead.domain.tokens import CHARS_PER_TOKEN, chars_of_tools, tokens_of, tokens_of_text
from runstead.domain.tool import ToolSpec


class FunctionToolState(TypedDict):
    """A tool as the model is told of it."""

    type: str
    function: dict[str, object]


class ContextState(TypedDict):
    """The context window of an agent: what fills it, each part with its estimated tokens."""

    context_window_size_max: int
    context_window_size_current: int
    num_messages: int
    num_archival_memory: int
    num_recall_memory: int
    num_tokens_external_memory_summary: int
    external_memory_summary: str
    num_tokens_system: int
    system_prompt: str
    num_tokens_core_memory: int
    core_memory: str
    num_tokens_memory_filesystem: int
    memory_filesystem: str | None
    num_tokens_tool_usage_rules: int
    tool_usage_rules: str | None
    num_tokens_directories: int
    directories: str | None
    num_tokens_summary_memory: int
    summary_memory: str | None
    num_tokens_functions_definitions: int
    functions_definitions: list[FunctionToolState] | None
    num_tokens_messages: int
    messages: list[StoredMessageState]


@dataclass(frozen=True, slots=True)
class ContextFacts:
    """What is counted. `passages` and `stored` are how many passages and messages there are in all."""

    agent: Agent
    blocks: Sequence[Block]
    seen: Sequence[Message]
    tools: Sequence[ToolSpec]
    passages: int
    stored: int
    directory: Directory = NO_DIRECTORY


def context_state(facts: ContextFacts) -> ContextState:
    """The context window as it is answered. Tokens are estimates, as those that decide about compaction are."""
    memory, directories = memory_prompt(facts.blocks), directory_prompt(facts.directory)
    turns = [m for m in facts.seen if m.role is not Role.SYSTEM and m.mark is not Mark.ABANDONED]
    summary = next((m.text for m in reversed(turns) if m.role is Role.SUMMARY), None)
    said = sum(tokens_of(m) for m in turns if m.role is not Role.SUMMARY)
    summary_tokens = tokens_of_text(summary or "")
    system_tokens, memory_tokens = tokens_of_text(facts.agent.system), tokens_of_text(memory)
    directory_tokens = tokens_of_text(directories)
    tool_tokens = chars_of_tools(facts.tools) // CHARS_PER_TOKEN
    return {
        "context_window_size_max": facts.agent.context_window_tokens,
        "context_window_size_current": said
        + summary_tokens
        + system_tokens
        + memory_tokens
        + tool_tokens
        + directory_tokens,
        "num_messages": len(facts.seen),
        "num_archival_memory": facts.passages,
        "num_recall_memory": facts.stored,
        "num_tokens_external_memory_summary": 0,
        "external_memory_summary": "",
        "num_tokens_system": system_tokens,
        "system_prompt": facts.agent.system,
        "num_tokens_core_memory": memory_tokens,
        "core_memory": memory,
        "num_tokens_memory_filesystem": 0,
        "memory_filesystem": None,
        "num_tokens_tool_usage_rules": 0,
        "tool_usage_rules": None,
        "num_tokens_directories": directory_tokens,
        "directories": directories or None,
        "num_tokens_summary_memory": summary_tokens,
        "summary_memory": summary,
        "num_tokens_functions_definitions": tool_tokens,
        "functions_definitions": [_function(tool) for tool in facts.tools],
        "num_tokens_messages": said,
        "messages": [stored_message_state(message) for message in facts.seen],
    }


def _function(tool: ToolSpec) -> FunctionToolState:
    about: dict[str, object] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
    return {"type": "function", "function": about}
