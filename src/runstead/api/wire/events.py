"""What a run says, as JSON: the only file that knows how an event is spelled on the wire. SSE framing is `api/stream.py`.

`encode` is handed to the log, which calls it once an event; lists of stored messages use `message_json` for the same shapes.
Field names and their order follow api-runs.md section 13; every event carries `seq_id` and `run_id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never

import orjson

from runstead.domain.event import (
    ApprovalAnswered,
    ApprovalRequested,
    AssistantSaid,
    CallPiece,
    CompactionHappened,
    Failed,
    Head,
    MessageEvent,
    Ping,
    Reasoned,
    ReasonedHidden,
    RunEvent,
    Stopped,
    Summarised,
    SystemSaid,
    ToolCalled,
    ToolReturned,
    Used,
    UserSaid,
)
from runstead.domain.message import ImagePart, Part, ReasoningPart, TextPart, ToolReturn
from runstead.domain.run import Run
from runstead.domain.step import Usage
from runstead.events.log import Kind

Json = dict[str, object]

_TYPES: Mapping[type[MessageEvent], str] = {
    SystemSaid: "system_message",
    UserSaid: "user_message",
    AssistantSaid: "assistant_message",
    Reasoned: "reasoning_message",
    ReasonedHidden: "hidden_reasoning_message",
    ToolCalled: "tool_call_message",
    ApprovalRequested: "approval_request_message",
    ApprovalAnswered: "approval_response_message",
    ToolReturned: "tool_return_message",
    Summarised: "summary_message",
    CompactionHappened: "event_message",
}
MESSAGE_TYPES = tuple(_TYPES.values())


def encode(event: RunEvent, run: Run, seq: int) -> tuple[Kind, bytes] | None:
    """An event's kind and JSON, or None where the run's request leaves out its message type."""
    if isinstance(event, Ping):
        return Kind.PING, orjson.dumps(ping_json(event, run.id, seq))
    if isinstance(event, Failed):
        return Kind.ERROR, orjson.dumps(_failed(event, run.id, seq))
    if isinstance(event, Stopped):
        body = {"message_type": "stop_reason", "stop_reason": event.reason.value}
        return Kind.STOP, orjson.dumps({**body, "seq_id": seq, "run_id": run.id})
    if isinstance(event, Used):
        return Kind.USAGE, orjson.dumps(used_json(event, seq))
    wanted = run.request.include_types
    if wanted is not None and _TYPES[type(event)] not in wanted:
        return None
    return Kind.MESSAGE, orjson.dumps(message_json(event, run_id=run.id, seq=seq))


def message_type(event: MessageEvent) -> str:
    """The `message_type` of an event."""
    return _TYPES[type(event)]


def message_json(event: MessageEvent, *, run_id: str | None, seq: int | None = None) -> Json:
    """A message as every part of the API shows it."""
    kind = _TYPES[type(event)]
    return {**_base(event.head, kind, run_id, seq), **_members(event, run_id)}


def ping_json(event: Ping, run_id: str, seq: int) -> Json:
    """A ping: its `seq_id` is its own number in the log, or the last one seen where it keeps a silent stream alive."""
    body: Json = {
        "id": event.id,
        "date": _date(event.date),
        "name": None,
        "message_type": "ping",
        "otid": None,
        "sender_id": None,
        "step_id": None,
        "is_err": None,
        "seq_id": seq,
        "run_id": run_id,
    }
    if event.superseded:
        body["superseded_message_ids"] = event.superseded
    if event.attempt is not None:
        body["attempt"] = event.attempt
    return body


def used_json(event: Used, seq: int | None) -> Json:
    """The usage of a whole run, with the members of both generations."""
    usage = event.usage
    return {
        "message_type": "usage_statistics",
        **usage_json(usage),
        "step_count": event.step_count,
        "steps_messages": None,
        "run_ids": [event.run_id],
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "context_tokens": event.context_tokens,
        "seq_id": seq,
        "run_id": event.run_id,
    }


def usage_json(usage: Usage) -> Json:
    """The three counts that every usage has."""
    return {
        "completion_tokens": usage.completion_tokens,
        "prompt_tokens": usage.prompt_tokens,
        "total_tokens": usage.total_tokens,
    }


def _failed(event: Failed, run_id: str, seq: int) -> Json:
    return {
        "message_type": "error_message",
        "run_id": run_id,
        "error_type": event.error_type,
        "message": event.message,
        "detail": event.detail,
        "seq_id": seq,
    }


def _base(head: Head, kind: str, run_id: str | None, seq: int | None) -> Json:
    return {
        "id": head.id,
        "date": _date(head.date),
        "name": head.name,
        "message_type": kind,
        "otid": head.otid,
        "sender_id": head.sender_id,
        "step_id": head.step_id,
        "is_err": head.is_err,
        "seq_id": seq,
        "run_id": run_id,
    }


def _members(event: MessageEvent, run_id: str | None) -> Json:  # noqa: PLR0911 - one return a type
    match event:
        case AssistantSaid():
            return {"content": event.text}
        case Reasoned():
            source = "reasoner_model"
            return {"source": source, "reasoning": event.text, "signature": event.signature}
        case ReasonedHidden():
            return {"state": event.state, "hidden_reasoning": event.hidden}
        case ToolCalled() | ApprovalRequested():
            return _calls(event)
        case ToolReturned():
            return _returned(event.result)
        case SystemSaid():
            return {"content": event.text}
        case UserSaid():
            return {"content": _content(event.parts)}
        case ApprovalAnswered():
            return _answered(event)
        case Summarised():
            stats = None if event.stats is None else dict(event.stats)
            return {"summary": event.summary, "compaction_stats": stats}
        case CompactionHappened():
            return {"event_type": "compaction", "event_data": dict(event.data)}
        case _:
            assert_never(event)


def _calls(event: ToolCalled | ApprovalRequested) -> Json:
    """One call under its old name, all of them under the new one; a delta is an object in both."""
    # In a piece of a tool call, members with nothing new are left out; in an approval request they are null.
    lean = event.delta and isinstance(event, ToolCalled)
    calls = [_call(call, lean=lean) for call in event.calls]
    return {"tool_call": calls[0], "tool_calls": calls[0] if event.delta else calls}


def _call(call: CallPiece, *, lean: bool) -> Json:
    body: Json = {"name": call.name, "arguments": call.arguments, "tool_call_id": call.call_id}
    return {name: value for name, value in body.items() if value is not None} if lean else body


def _returned(result: ToolReturn) -> Json:
    one = _single(result)
    return {**one, "tool_returns": [{"type": "tool", **one}]}


def _answered(event: ApprovalAnswered) -> Json:
    approvals: list[Json] = [
        {
            "type": "approval",
            "tool_call_id": decision.call_id,
            "approve": decision.approve,
            "reason": decision.reason,
        }
        for decision in event.decisions
    ]
    approvals += [{"type": "tool", **_single(result)} for result in event.returns]
    first = event.decisions[0] if event.decisions else None
    return {
        "approve": first.approve if first else None,
        "approval_request_id": event.request_id,
        "reason": first.reason if first else None,
        "approvals": approvals,
    }


def _single(result: ToolReturn) -> Json:
    return {
        "tool_return": result.text,
        "status": result.status,
        "tool_call_id": result.call_id,
        "stdout": list(result.stdout) or None,
        "stderr": list(result.stderr) or None,
    }


def _content(parts: tuple[Part, ...]) -> object:
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        return parts[0].text
    return [_part(part) for part in parts]


def _part(part: Part) -> Json:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            if part.url is not None:
                return {"type": "image", "source": {"type": "url", "url": part.url}}
            source = {"type": "base64", "media_type": part.media_type, "data": part.data}
            return {
                "type": "image",
                "source": source if part.detail is None else {**source, "detail": part.detail},
            }
        case ReasoningPart():
            return {"type": "reasoning", "reasoning": part.text}
        case _:
            assert_never(part)


def _date(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
