"""A stored message with other words in it: what was said is replaced, who said it when and in which run stays. Pure.

It never touches what happened: calls of tools, their returns and a person's answers cannot be rewritten. The one exception
is the call by which older agents speak, whose argument is what they said.
"""

from __future__ import annotations

from dataclasses import replace
from json import dumps, loads

from runstead.domain.message import Message, Part, ReasoningPart, Role, TextPart
from runstead.domain.run import RunRequest
from runstead.domain.shown import is_prompt
from runstead.domain.transcript import spoken_argument
from runstead.errors import Invalid

# Which stored message each type of the API is told from.
ROLE_OF = {
    "system_message": Role.SYSTEM,
    "user_message": Role.USER,
    "assistant_message": Role.ASSISTANT,
    "reasoning_message": Role.ASSISTANT,
}


def edited(message: Message, kind: str, parts: tuple[Part, ...]) -> Message:
    """The message with what it says as a `kind` of the API replaced. Raises `Invalid` where it says nothing as one."""
    if message.role is not ROLE_OF[kind]:
        raise Invalid(
            f"Message {message.id} is no {kind}: its role is {message.role.value}. What a tool or an approval brought"
            " is not changed."
        )
    if is_prompt(message):
        raise Invalid(
            f"Message {message.id} is the system prompt as the history began with it; what the model is told is the"
            " agent's `system`: change that."
        )
    if message.role is not Role.ASSISTANT:
        return replace(message, parts=parts)
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    if kind == "reasoning_message":
        return _with_part(message, ReasoningPart, ReasoningPart(text))
    spoken = _speaking(message, text)
    return spoken if spoken is not None else _with_part(message, TextPart, TextPart(text))


def _with_part(message: Message, kind: type[TextPart | ReasoningPart], new: Part) -> Message:
    """The message with one part in the place of all of its kind. A thought's signature goes: it signed other words."""
    places = [at for at, part in enumerate(message.parts) if isinstance(part, kind) and part.text]
    if not places:
        what = "thought" if kind is ReasoningPart else "text"
        raise Invalid(f"There is no {what} in message {message.id} that could be replaced.")
    kept = [new if at == places[0] else part for at, part in enumerate(message.parts) if at not in places[1:]]
    return replace(message, parts=tuple(kept))


def _speaking(message: Message, text: str) -> Message | None:
    """The message with another text in the call by which it speaks to the person; None where it makes no such call."""
    usual = RunRequest()
    for at, call in enumerate(message.tool_calls):
        if spoken_argument(call, usual) is not None:
            arguments = {**loads(call.arguments), usual.assistant_tool_argument: text}
            calls = list(message.tool_calls)
            calls[at] = replace(call, arguments=dumps(arguments, ensure_ascii=False))
            return replace(message, tool_calls=tuple(calls))
    return None
