"""One answer of the model as it comes in: deltas become parts of a message and, while tokens stream, events.

It decides nothing: what the answer means is the step's business. Part numbers here and in `domain/transcript.py` agree, so
that a streamed part and the same part in a list have one otid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from pydantic_core import from_json

from runstead.domain.event import (
    ApprovalRequested,
    AssistantSaid,
    CallPiece,
    Head,
    Reasoned,
    ReasonedHidden,
    RunEvent,
    ToolCalled,
)
from runstead.domain.message import (
    Mark,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCall,
)
from runstead.domain.run import RunRequest
from runstead.ids import part_otid
from runstead.llm.types import CallDelta, Delta, Finish, ReasoningDelta, TextDelta

Emit = Callable[[RunEvent], None]
# Asks of a tool's name: (a person must approve it, the client runs it).
Ask = Callable[[str], tuple[bool, bool]]


@dataclass(slots=True)
class _Call:
    """A call that is still being written."""

    id: str
    name: str
    arguments: list[str]
    otid: str
    spoken: str | None
    delta: CallDelta
    needs_approval: bool
    client: bool


class Answer:
    """An answer in the making. `base` is its message without content; `emit` None: nobody wants the pieces."""

    def __init__(self, base: Message, request: RunRequest, ask: Ask, emit: Emit | None) -> None:
        self._base = base
        self._request = request
        self._ask = ask
        self._emit = emit
        self._parts: list[Part] = []
        self._open: list[str] = []
        self._kind: type[Part] | None = None
        self._head: Head | None = None
        self._calls: dict[int, _Call] = {}
        self._call_otid: str | None = None
        self._numbered = 0
        self.finish: Finish | None = None
        self.pieces = 0

    def add(self, delta: Delta) -> None:
        """Take the next delta."""
        self.pieces += 1
        match delta:
            case TextDelta():
                if self._kind is not TextPart:
                    self._begin(TextPart)
                self._open.append(delta.text)
                if self._emit is not None and delta.text:
                    self._emit(AssistantSaid(cast("Head", self._head), delta.text))
            case ReasoningDelta():
                self._reason(delta)
            case CallDelta():
                self._call(delta)
            case Finish():
                self.finish = delta

    def message(self, mark: Mark | None = None) -> Message:
        """What was said so far. With a mark it broke off: calls are left out, for none of them was run."""
        self._close()
        calls: tuple[ToolCall, ...] = ()
        if mark is None:
            calls = tuple(
                ToolCall(
                    call.id,
                    call.name,
                    "".join(call.arguments),
                    call.needs_approval,
                    call.client,
                    call.delta.provider,
                )
                for _, call in sorted(self._calls.items())
            )
        return replace(self._base, parts=tuple(self._parts), tool_calls=calls, mark=mark)

    @property
    def empty(self) -> bool:
        """Whether nothing at all was said."""
        return not (self._parts or self._open or self._calls)

    def _reason(self, delta: ReasoningDelta) -> None:
        if delta.redacted is not None:
            self._close()
            self._parts.append(ReasoningPart("", None, delta.redacted, delta.provider))
            if self._emit is not None:
                self._emit(ReasonedHidden(self._next_head(), "redacted", delta.redacted))
            return
        if self._kind is not ReasoningPart:
            self._begin(ReasoningPart)
        self._open.append(delta.text)
        if self._emit is not None and (delta.text or delta.signature):
            self._emit(Reasoned(cast("Head", self._head), delta.text, delta.signature))
        if delta.signature is not None or delta.provider is not None:
            text, self._open = "".join(self._open), []
            self._parts.append(ReasoningPart(text, delta.signature, None, delta.provider))
            self._kind = None

    def _call(self, delta: CallDelta) -> None:
        call = self._calls.get(delta.index)
        if call is None:
            call = self._calls[delta.index] = self._begin_call(delta)
        elif delta.provider is not None:
            call.delta = delta
        if delta.arguments:
            call.arguments.append(delta.arguments)
        if self._emit is None:
            return
        if call.spoken is not None:
            self._speak(call)
        elif delta.name is not None:
            self._tell(call, CallPiece(call.id, delta.name, None))
            if delta.arguments:
                self._tell(call, CallPiece(call.id, None, delta.arguments))
        elif delta.arguments:
            self._tell(call, CallPiece(call.id, None, delta.arguments))

    def _begin_call(self, delta: CallDelta) -> _Call:
        self._close()
        name = delta.name or ""
        needs_approval, client = self._ask(name)
        request = self._request
        says = request.use_assistant_message and name == request.assistant_tool_name
        if says:
            otid = self._next_otid()
        elif self._call_otid is None:
            otid = self._call_otid = self._next_otid()
        else:
            otid = self._call_otid
        if needs_approval or client:
            otid = self._base.id
        spoken = "" if says and not (needs_approval or client) else None
        return _Call(delta.id or f"call_{delta.index}", name, [], otid, spoken, delta, needs_approval, client)

    def _speak(self, call: _Call) -> None:
        """Tell the new end of the argument that is meant for the user."""
        try:
            so_far: object = from_json("".join(call.arguments), allow_partial="trailing-strings")
        except ValueError:
            return
        if not isinstance(so_far, dict):
            return
        text = cast("dict[str, object]", so_far).get(self._request.assistant_tool_argument)
        if isinstance(text, str) and len(text) > len(call.spoken or "") and self._emit is not None:
            new, call.spoken = text[len(call.spoken or "") :], text
            self._emit(AssistantSaid(self._head_with(call.otid), new))

    def _tell(self, call: _Call, piece: CallPiece) -> None:
        assert self._emit is not None, "only streamed answers are told in pieces"
        kind = ApprovalRequested if call.needs_approval or call.client else ToolCalled
        self._emit(kind(self._head_with(call.otid), (piece,), delta=True))

    def _begin(self, kind: type[Part]) -> None:
        self._close()
        self._kind = kind
        self._head = self._next_head()

    def _close(self) -> None:
        """End the part that is being written."""
        if self._kind is not None and self._open:
            text = "".join(self._open)
            self._parts.append(TextPart(text) if self._kind is TextPart else ReasoningPart(text))
        self._kind, self._open = None, []

    def _next_otid(self) -> str:
        otid = part_otid(self._base.id, self._numbered)
        self._numbered += 1
        return otid

    def _next_head(self) -> Head:
        return self._head_with(self._next_otid())

    def _head_with(self, otid: str) -> Head:
        return Head(self._base.id, self._base.created_at, otid, self._base.step_id)
