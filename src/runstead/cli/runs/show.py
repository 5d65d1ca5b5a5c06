"""`runstead runs show`: everything about a run, in the order in which one asks for it."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import TYPE_CHECKING, Any, cast

from runstead.cli.client import connect
from runstead.cli.measures import duration_of, moment, span, times, tokens_of, waits
from runstead.cli.pending import pending
from runstead.cli.received import ShownCall, calls_of, text_of
from runstead.cli.screen import cell, json_line, printable, table
from runstead.clock import SystemClock

if TYPE_CHECKING:
    from runstead.api.wire.messages import MessageState
    from runstead.api.wire.runs import RunState
    from runstead.api.wire.steps import StepState

Json = dict[str, Any]
STEPS = ("#", "STATE", "WHY", "ATTEMPT", "MODEL", "IN", "OUT", "BEGAN", "STEP")
STEPS_RIGHT = ("#", "ATTEMPT", "IN", "OUT")
_WHO = {
    "user_message": "you",
    "assistant_message": "agent",
    "reasoning_message": "thinks",
    "system_message": "system",
    "tool_call_message": "calls",
    "approval_request_message": "asks",
    "approval_response_message": "answer",
    "tool_return_message": "got",
    "summary_message": "summary",
    "hidden_reasoning_message": "thinks",
}


def run(given: Namespace) -> int:
    """Say it."""
    with connect(given) as client:
        found = client.run(given.run)
        steps, messages = client.steps(found["id"]), client.messages(found["id"])
        agent = client.names({found["agent_id"]}).get(found["agent_id"], "no longer there")
        asks = pending(client, found["id"]) if waits(found) else []
    if given.json:
        json_line({"run": found, "agent_name": agent, "steps": steps, "messages": messages})
        return 0
    for name, value in _facts(found, agent, asks):
        print(f"{name:<10} {printable(value)}")
    print()
    table(STEPS, [_step(number, step) for number, step in enumerate(steps, 1)], right=STEPS_RIGHT)
    print()
    for message in messages:
        print(_told(message))
    return 0


def _facts(found: RunState, agent: str, asks: list[ShownCall]) -> list[tuple[str, str]]:
    facts = [
        ("run", found["id"]),
        ("status", found["status"]),
        ("why", found["stop_reason"] or "it is not over"),
        ("agent", f"{cell(agent)} ({found['agent_id']})"),
        ("began", f"{moment(found['created_at']):%Y-%m-%d %H:%M:%S}Z"),
        ("took", duration_of(found, SystemClock().now())),
        ("first word", span(found["ttft_ns"])),
        ("tokens", _tokens(found)),
        ("mode", "background" if found["background"] else "foreground"),
    ]
    if found["conversation_id"]:
        facts.append(("in", found["conversation_id"]))
    if found["cancel_requested_at"]:
        facts.append(("cancelled", f"asked for {moment(found['cancel_requested_at']):%H:%M:%S}Z"))
    if found["callback_url"]:
        facts.append(("callback", _callback(found)))
    if (error := error_of(found)) is not None:
        facts.append(("error", error))
    facts += [("waits for", f"{cell(call.name)}({cell(call.arguments)})") for call in asks]
    if asks:
        facts.append(("until", times(found, SystemClock().now())))
        facts.append(("next", f"runstead runs approve {found['id']} (or deny)"))
    return facts


def _tokens(found: RunState) -> str:
    if "usage" not in found:
        return tokens_of(found)
    return f"{found['usage']['prompt_tokens']} in, {found['usage']['completion_tokens']} out"


def error_of(found: RunState) -> str | None:
    """What a run said went wrong, in one line."""
    error = found["metadata"].get("error")
    if not error:
        return None
    if not isinstance(error, dict):
        return cell(error)
    said = cast("Json", error)
    parts = (said.get("error_type"), said.get("message"), said.get("detail"))
    return cell(": ".join(dict.fromkeys(str(part) for part in parts if part)))


def _callback(found: RunState) -> str:
    told = found["callback_error"] or found["callback_status_code"] or "not yet told"
    return f"{cell(found['callback_url'])}: {cell(told)}"


def _step(number: int, step: StepState) -> tuple[str, ...]:
    return (
        str(number),
        step["status"],
        step["error_type"] or step["stop_reason"] or "-",
        str(step["attempt"]),
        step["model_handle"],
        str(step["prompt_tokens"]),
        str(step["completion_tokens"]),
        f"{moment(step['created_at']):%H:%M:%S}Z",
        step["id"],
    )


def _told(message: MessageState) -> str:
    """One message, its later lines under its first."""
    body = cast("Json", message)
    kind = str(body["message_type"])
    lines = printable(_said(kind, body)).splitlines() or [""]
    return f"{_WHO.get(kind, kind):<8} " + ("\n" + " " * 9).join(lines)


def _said(kind: str, body: Json) -> str:
    if kind in {"tool_call_message", "approval_request_message"}:
        return "\n".join(f"{call.name}({call.arguments})  {call.id}" for call in calls_of(body))
    if kind == "tool_return_message":
        return f"[{body.get('status')}] {body.get('tool_return')}"
    if kind == "approval_response_message":
        return "\n".join(_answer(each) for each in cast("list[Json]", body.get("approvals") or []))
    if kind == "reasoning_message":
        return str(body.get("reasoning"))
    if kind == "summary_message":
        return str(body.get("summary"))
    return text_of(body) or json.dumps(body.get("event_data") or body.get("state") or "", ensure_ascii=False)


def _answer(each: Json) -> str:
    if each.get("type") == "tool":
        return f"[{each.get('status')}] {each.get('tool_return')}"
    word = "approved" if each.get("approve") else "denied"
    return f"{word} {each.get('tool_call_id')}" + (f": {each['reason']}" if each.get("reason") else "")
