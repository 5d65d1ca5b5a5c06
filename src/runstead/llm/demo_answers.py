"""What the demonstration model answers: patterns over the newest message, the tools and the memory blocks. Pure.

It never pretends to understand: what fits no pattern gets an answer that says what it is and what it can show.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any, cast

from runstead.domain.agent_type import SEND_MESSAGE
from runstead.domain.message import Message, Role, ToolReturn
from runstead.domain.tool import ToolSpec
from runstead.llm.types import ModelRequest

COUNT_MAX = 10_000
SHOWN_CHARS_MAX = 2_000

_WHAT_I_AM = (
    "I am Runstead's demonstration model, not a language model: my answers are patterns, written in advance."
)
_WHAT_I_CAN = (
    "You can tell me your name, tell me to remember something, ask what I remember, tell me to count to a number, "
    "or tell me to call one of my tools with JSON arguments. For real answers, set a provider's key or base URL "
    "(OPENAI_API_KEY, ANTHROPIC_API_KEY, OLLAMA_BASE_URL, …), start the server again and choose one of its models."
)

_NAME = re.compile(r"\bmy name(?: is|'s)\s+([^\W\d_][\w'-]*(?:\s+[A-Z][\w'-]*)*)", re.IGNORECASE)
_ASKS_NAME = re.compile(
    r"\b(?:what(?: is|'s) my name|who am i|do you (?:know|remember) (?:my name|who i am))\b", re.IGNORECASE
)
_ASKS_MEMORY = re.compile(
    r"\bwhat (?:do|can) you (?:remember|know)\b|\bdo you remember\b|\bwhat(?: is|'s) in your memory\b",
    re.IGNORECASE,
)
_REMEMBER = re.compile(r"\bremember(?:\s+that|\s*:)?\s+(.+)", re.IGNORECASE | re.DOTALL)
_COUNT = re.compile(r"\bcount (?:up )?to (\d+)", re.IGNORECASE)
_CALL = re.compile(
    r"\b(?:call|use|run|invoke)\s+(?:the\s+)?(?:tool\s+)?[`'\"]?([A-Za-z_][\w.-]*)[`'\"]?", re.IGNORECASE
)
_BLOCK = re.compile(r"<block label=\"([^\"]*)\"([^>]*)>.*?<value>(.*?)</value>\s*</block>", re.DOTALL)
_KNOWN_NAME = re.compile(r"The user's name is ([^.\n]+)\.")
_MEMORY_TOOLS = {
    "memory_insert",
    "memory_replace",
    "core_memory_append",
    "core_memory_replace",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call to be made."""

    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class DemoAnswer:
    """What is said, and what is called. `thought` is for who asked for thoughts."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    thought: str = "This fits none of my patterns, so I say what I am."


@dataclass(frozen=True, slots=True)
class _Block:
    label: str
    value: str
    read_only: bool


def answer_to(request: ModelRequest) -> DemoAnswer:
    """The answer to the newest message; after tools were run, what came of them."""
    results = _results(request.messages)
    if results:
        return DemoAnswer(_told(results), thought="The tools have answered; I say what they said.")
    text = _asked(request.messages)
    tools = {tool.name: tool for tool in request.tools}
    blocks = _blocks(request.system)
    if _ASKS_NAME.search(text):
        return DemoAnswer(_name(blocks, request.messages), thought="I look for a name in my memory.")
    if _ASKS_MEMORY.search(text):
        return DemoAnswer(_memory(blocks), thought="I read my memory blocks out.")
    if (call := _asked_call(text, tools)) is not None:
        return DemoAnswer(calls=(call,), thought=f"I was asked to call {call.name}.")
    if (fact := _fact(text)) is not None:
        return _remembered(fact, tools, blocks)
    if found := _COUNT.search(text):
        upto = min(int(found[1]), COUNT_MAX)
        return DemoAnswer(" ".join(str(n) for n in range(1, upto + 1)), thought=f"I count to {upto}.")
    return DemoAnswer(_introduction(text, tools))


def _results(messages: Sequence[Message]) -> list[ToolReturn]:
    """The results that came since the model was last told something by a person."""
    found: list[ToolReturn] = []
    for message in reversed(messages):
        if message.role in {Role.USER, Role.SYSTEM, Role.SUMMARY}:
            break
        if message.tool_return is not None:
            found.append(message.tool_return)
        found.extend(reversed(message.client_returns))
    return found[::-1]


def _asked(messages: Sequence[Message]) -> str:
    return next((m.text for m in reversed(messages) if m.role is Role.USER), "")


def _told(results: Sequence[ToolReturn]) -> str:
    lines = [_told_one(result) for result in results if result.name != SEND_MESSAGE]
    return "\n".join(lines) or "That is all."


def _told_one(result: ToolReturn) -> str:
    name = result.name or "it"
    if result.status != "success":
        return f"I called {name}, and it failed: {result.text[:SHOWN_CHARS_MAX]}"
    if name in _MEMORY_TOOLS:
        return "I have written that into my memory. Ask me what I remember, now or another day."
    return f"I called {name}. It answered: {result.text[:SHOWN_CHARS_MAX]}"


def _blocks(system: str) -> list[_Block]:
    return [
        _Block(unescape(label), value.strip(), 'read_only="true"' in attributes)
        for label, attributes, value in _BLOCK.findall(system)
    ]


def _name(blocks: Sequence[_Block], messages: Sequence[Message]) -> str:
    for block in blocks:
        if names := _KNOWN_NAME.findall(block.value):
            return f"Your name is {names[-1]}. It stands in my memory block {block.label!r}."
    for message in reversed(messages):
        if message.role is Role.USER and (found := _NAME.search(message.text)):
            return (
                f"Your name is {found[1]}. You said so in this conversation; my memory blocks do not hold it."
            )
    return "I do not know your name yet. Tell me: my name is …"


def _memory(blocks: Sequence[_Block]) -> str:
    filled = [f"{block.label}: {block.value}" for block in blocks if block.value]
    return "My memory blocks hold this.\n" + "\n".join(filled) if filled else "My memory is empty so far."


def _fact(text: str) -> str | None:
    if found := _NAME.search(text):
        return f"The user's name is {found[1]}."
    found = _REMEMBER.search(text)
    return found[1].strip() if found else None


def _remembered(fact: str, tools: Mapping[str, ToolSpec], blocks: Sequence[_Block]) -> DemoAnswer:
    if any(fact in block.value for block in blocks):
        return DemoAnswer("I know that already: it stands in my memory.", thought="I know that.")
    writable = [block for block in blocks if not block.read_only]
    human = [block for block in writable if block.label == "human"]
    target = next(iter([*human, *writable]), None)
    call = None if target is None else _writing(fact, target, tools)
    if call is None:
        return DemoAnswer(
            "I would write that down, but I have no memory tool or no block to write to.",
            thought="There is nowhere to write to.",
        )
    return DemoAnswer(calls=(call,), thought="This is worth keeping; I write it into my memory.")


def _writing(fact: str, block: _Block, tools: Mapping[str, ToolSpec]) -> Call | None:
    """The call that writes a fact down, in the place of an older one about the same thing."""
    old = _KNOWN_NAME.search(block.value) if _KNOWN_NAME.match(fact) else None
    if old is not None and block.value.count(old[0]) == 1:
        if "memory_replace" in tools:
            names = _names_of(tools["memory_replace"], ("old_str", "old_string"), ("new_str", "new_string"))
            return Call("memory_replace", {"label": block.label, names[0]: old[0], names[1]: fact})
        if "core_memory_replace" in tools:
            given = {"label": block.label, "old_content": old[0], "new_content": fact}
            return Call("core_memory_replace", given)
    if "memory_insert" in tools:
        (name,) = _names_of(tools["memory_insert"], ("new_str", "new_string"))
        return Call("memory_insert", {"label": block.label, name: fact})
    if "core_memory_append" in tools:
        return Call("core_memory_append", {"label": block.label, "content": fact})
    return None


def _names_of(tool: ToolSpec, *choices: tuple[str, str]) -> list[str]:
    """Of the two names that a parameter goes by, the one in the tool's schema."""
    properties = _properties(tool)
    return [second if second in properties else first for first, second in choices]


def _asked_call(text: str, tools: Mapping[str, ToolSpec]) -> Call | None:
    for found in _CALL.finditer(text):
        tool = tools.get(found[1].rstrip(".-"))
        if tool is not None:
            rest = text[found.end() :]
            given = _json_in(rest)
            return Call(tool.name, _made_up(tool, rest) if given is None else given)
    return None


def _json_in(text: str) -> Mapping[str, object] | None:
    start = text.find("{")
    if start < 0:
        return None
    try:
        value: object = json.JSONDecoder().raw_decode(text[start:])[0]
    except json.JSONDecodeError:
        return None
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def _made_up(tool: ToolSpec, rest: str) -> Mapping[str, object]:
    """Arguments that fit a tool's schema, for who gave none: what must be there, made from the rest of the message."""
    words = (
        re.sub(r"^\s*(?:tool|function)?\s*(?:with|on|for|to)?\s*", "", rest).strip(" .:!?\n")
        or "demonstration"
    )
    properties = _properties(tool)
    required = cast("Sequence[str]", tool.parameters.get("required") or ())
    return {name: _fitting(properties.get(name) or {}, words) for name in required}


def _properties(tool: ToolSpec) -> Mapping[str, dict[str, Any]]:
    return cast("Mapping[str, dict[str, Any]]", tool.parameters.get("properties") or {})


def _fitting(schema: Mapping[str, Any], words: str) -> object:
    if schema.get("enum"):
        return schema["enum"][0]
    number = re.search(r"-?\d+", words)
    whole = int(number[0]) if number else 1
    fitting: Mapping[str, object] = {
        "integer": whole,
        "number": whole,
        "boolean": True,
        "array": [],
        "object": {},
    }
    return fitting.get(str(schema.get("type")), words)


def _introduction(text: str, tools: Mapping[str, ToolSpec]) -> str:
    heard = " ".join(text.split())[:80]
    parts = [_WHAT_I_AM, f'You said: "{heard}".' if heard else "", _WHAT_I_CAN]
    shown = [name for name in tools if name != SEND_MESSAGE]
    if shown:
        parts.append(f"My tools are {', '.join(shown)}.")
    return " ".join(part for part in parts if part)
