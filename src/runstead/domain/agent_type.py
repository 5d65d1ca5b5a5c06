"""Kinds of agents, and what one of each kind is given unless its maker says otherwise. Data and lookups only.

The kinds and their tools are the API's (api-rest.md section 1); the prompts are our own.
"""

from __future__ import annotations

from enum import StrEnum

from runstead.domain.agent import ToolRule


class AgentType(StrEnum):
    """The API's kinds of agents."""

    LETTA_V1 = "letta_v1_agent"
    MEMGPT = "memgpt_agent"
    MEMGPT_V2 = "memgpt_v2_agent"
    REACT = "react_agent"
    WORKFLOW = "workflow_agent"
    SPLIT_THREAD = "split_thread_agent"
    SLEEPTIME = "sleeptime_agent"
    VOICE_CONVO = "voice_convo_agent"
    VOICE_SLEEPTIME = "voice_sleeptime_agent"


SEND_MESSAGE = "send_message"
_V1 = ("conversation_search", "memory_insert", "memory_replace")
_KEEPERS = ("memory_insert", "memory_replace", "memory_rethink")
_BASE_TOOLS: dict[AgentType, tuple[str, ...]] = {
    AgentType.LETTA_V1: _V1,
    AgentType.MEMGPT: (
        SEND_MESSAGE,
        "conversation_search",
        "core_memory_append",
        "core_memory_replace",
    ),
    AgentType.MEMGPT_V2: (SEND_MESSAGE, *_V1),
    AgentType.REACT: _V1,
    AgentType.WORKFLOW: (),
    AgentType.SPLIT_THREAD: (SEND_MESSAGE, *_V1),
    AgentType.SLEEPTIME: _KEEPERS,
    AgentType.VOICE_CONVO: (SEND_MESSAGE, "conversation_search"),
    AgentType.VOICE_SLEEPTIME: _KEEPERS,
}

_MEMORY = (
    "Part of what you see is your memory: labelled blocks of text that stay with you from one conversation to the "
    "next. What stands in them, you know; what you learn and want to know later, write into them with your memory "
    "tools, briefly and in the block it belongs to. Older messages may have left your sight: search for them before "
    "you say that you do not know."
)
_ANSWERS = (
    "Answer the person plainly, in their language. Use a tool when it gets you what you need, and say so when it "
    "fails."
)
_SPEAKS_BY_TOOL = (
    "The person sees only what you say with the send_message tool; everything else that you write is a thought of yours. "
    "Once you have said what there is to say, you rest until the next message."
)
_KEEPS = (
    "You look after an assistant's memory while it rests. Read what was said since you last did, and bring the memory "
    "blocks up to date: write down what is new, correct what is no longer so, join what is said twice. Speak to no "
    "one."
)
_WORKS = (
    "You carry out one task at a time with the tools you are given, and end with its result. You remember nothing "
    "between tasks."
)
_VOICE = "What you say is read aloud: use short sentences, and no lists, tables or code."
_PROMPTS: dict[AgentType, str] = {
    AgentType.LETTA_V1: f"You are an assistant with a lasting memory. {_ANSWERS}\n\n{_MEMORY}",
    AgentType.REACT: f"You are an assistant with a lasting memory. {_ANSWERS}\n\n{_MEMORY}",
    AgentType.WORKFLOW: _WORKS,
    AgentType.SLEEPTIME: _KEEPS,
    AgentType.VOICE_SLEEPTIME: _KEEPS,
    AgentType.VOICE_CONVO: f"You are an assistant with a lasting memory. {_SPEAKS_BY_TOOL} {_VOICE}\n\n{_MEMORY}",
}
_TALKS_BY_TOOL = f"You are an assistant with a lasting memory. {_ANSWERS}\n\n{_SPEAKS_BY_TOOL}\n\n{_MEMORY}"


def base_tools(kind: AgentType) -> tuple[str, ...]:
    """The names of the tools that an agent of this kind has from the start."""
    return _BASE_TOOLS[kind]


def base_rules(kind: AgentType) -> tuple[ToolRule, ...]:
    """The rules that go with them. Only agents that speak by `send_message` have any: with it their turn is over."""
    tools = _BASE_TOOLS[kind]
    if SEND_MESSAGE not in tools:
        return ()
    return tuple(ToolRule("exit_loop" if name == SEND_MESSAGE else "continue_loop", name) for name in tools)


def default_prompt(kind: AgentType) -> str:
    """The system prompt of an agent whose maker gave none."""
    return _PROMPTS.get(kind, _TALKS_BY_TOOL)
