"""docs/events.md, made of events that the server's own encoder spells: `python -m website.events_page > docs/events.md`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from runstead.api.wire.events import encode
from runstead.domain.event import (
    ApprovalAnswered,
    ApprovalRequested,
    AssistantSaid,
    CallPiece,
    CompactionHappened,
    Failed,
    Head,
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
from runstead.domain.message import Decision, TextPart, ToolReturn
from runstead.domain.run import Run, RunStatus, RunType, StopReason
from runstead.domain.run_machine import final_status
from runstead.domain.step import Usage
from runstead.ids import AgentId, MessageId, OrganizationId, RunId, StepId, UserId
from website.event_words import BASE, MEMBERS, STOP_REASONS

_HEAD = """# Events

Made from the server's own encoder by `python -m website.events_page`; a test holds it current.

What a run says is a log of events, numbered from 1 without a gap. A stream gives them as server-sent events: `id:` is the
number, `data:` the JSON below. The last frame is `data: [DONE]`. To go on reading after number *n*, also after a restart of
the server: `POST /v1/runs/{run_id}/stream` with `starting_after: n`, or with the header `Last-Event-ID: n`.

| the request says | then |
|---|---|
| `stream_tokens: true` | text, thoughts and arguments come in pieces, one event each, to be joined by `otid` |
| `include_pings: false` | no `ping` is sent |
| `include_return_message_types: […]` | only these messages are in the log; what ends a run always is |
| `include_compaction_messages: true` | compaction is told by `event_message` and `summary_message` |
| `background: true` | others may follow the run, from any event on |

## Order

A run that answers says `ping`, its messages step by step, `stop_reason`, `usage_statistics`. A step says thoughts, then text
or calls, then a return for each call. A run that waits for a person ends with `approval_request_message`, `stop_reason`
(`requires_approval`), `usage_statistics`. One that fails says `error_message` before its `stop_reason`.

A frame `retry: 1000` without `[DONE]` means that the server stops: come back with the last number. So does a connection that
ends without `[DONE]`.
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One event, and when it comes."""

    event: RunEvent
    when: str


_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_RUN = RunId("run-3f0e7b52-6c1d-4e55-9a56-0d0f3f8f1c11")
_STEP = StepId("step-7a3c1f0e-2b44-4d6a-8e21-5c9b1d2e3f40")
_CALL = CallPiece("call_1", "roll_dice", '{"sides": 6}')
_RETURN = ToolReturn("call_1", "roll_dice", "success", "dice: 4", ("rolling\n",))


def _head(*, step: bool = True, name: str | None = None) -> Head:
    message = MessageId("message-5d1f6a0c-9b7e-4c3d-8a2f-1e0d9c8b7a00")
    otid = "5d1f6a0c-9b7e-4c3d-8a2f-1e0d9c8b7a00"
    return Head(message, _AT, otid=otid, step_id=_STEP if step else None, name=name)


SAMPLES = (
    Sample(
        Ping("ping-0c9b8a7f-6e5d-4c3b-9a1f-0e9d8c7b6a50", _AT),
        "A sign of life. The first event of every run, so that a reader knows the run's id. In silence one comes every"
        " `RUNSTEAD_KEEPALIVE_S`; that one is no event: it has no `id:` and repeats the last number.",
    ),
    Sample(
        Ping("ping-0c9b8a7f-6e5d-4c3b-9a1f-0e9d8c7b6a51", _AT, (_head().id,), 2),
        "A process died and another one goes on: what the dead attempt had begun to say is void. Take these messages back;"
        " the new attempt says its own, under new ids.",
    ),
    Sample(Reasoned(_head(), "Six sides, so"), "The model's thoughts, where it has any to show."),
    Sample(ReasonedHidden(_head(), "redacted", "EvQC…"), "Thoughts that the provider hides."),
    Sample(AssistantSaid(_head(), "I rolled a 4."), "What the agent says."),
    Sample(ToolCalled(_head(), (_CALL,)), "Calls that the server runs now."),
    Sample(
        ToolReturned(_head(name="roll_dice"), _RETURN),
        "What came of a call. Durable: the call is not made again.",
    ),
    Sample(
        ApprovalRequested(_head(), (_CALL,)), "Calls that wait for a person, or that the client runs itself."
    ),
    Sample(
        ApprovalAnswered(
            _head(step=False), (Decision("call_1", approve=False, reason="not today"),), (), _head().id
        ),
        "A person's answer. It is what the next run was begun with; in lists of messages.",
    ),
    Sample(
        UserSaid(_head(step=False), (TextPart("Roll a die."),)),
        "What a user said. In lists of messages only.",
    ),
    Sample(SystemSaid(_head(step=False), "You are …"), "The system prompt. In lists of messages only."),
    Sample(
        CompactionHappened(_head(), {"trigger": "context_window_exceeded"}),
        "The oldest turns are being summarised, because the context is full or somebody asked for it.",
    ),
    Sample(
        Summarised(_head(), "They rolled dice.", {"trigger": "context_window_exceeded"}),
        "The summary that stands in their place from now on.",
    ),
    Sample(Stopped(StopReason.END_TURN), "The run is over, and why. Comes once in every run."),
    Sample(
        Used(Usage(812, 31, 640, 0, 12), 2, _RUN, 843),
        "What the run took, over all its steps and attempts. The last event of a run.",
    ),
    Sample(
        Failed("llm_rate_limit", "The provider refuses more requests for now.", "429 from openai"),
        "The run failed. The frame has `event: error`, which newer clients raise as an error.",
    ),
)


def page() -> str:
    """The whole page."""
    lines = [_HEAD, "## On every message", "", "| member | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in BASE.items()]
    told: set[str] = set()
    for sample in SAMPLES:
        body = spelled(sample.event)
        kind = str(body["message_type"])
        lines += ["", f"## `{kind}`\n" if kind not in told else "Or:\n", sample.when]
        told.add(kind)
        own = [name for name in body if name not in BASE or (kind == name)]
        if own:
            lines += ["", "| member | meaning |", "|---|---|"]
            lines += [f"| `{name}` | {MEMBERS[name]} |" for name in own]
        lines += ["", "```json", _json(body), "```"]
    lines += ["", "## Why a run ended", "", "| `stop_reason` | meaning | status |", "|---|---|---|"]
    lines += [
        f"| `{reason}` | {words} | {final_status(StopReason(reason)).value} |"
        for reason, words in STOP_REASONS.items()
    ]
    return "\n".join(lines) + "\n"


def spelled(event: RunEvent) -> dict[str, object]:
    """An event as the server writes it, as the seventh of a run."""
    encoded = encode(event, _run(), 7)
    assert encoded is not None, "nothing is left out of this run"
    return orjson.loads(encoded[1])


def _run() -> Run:
    return Run(
        _RUN,
        UserId("user-1"),
        OrganizationId("org-1"),
        AgentId("agent-1"),
        RunType.STREAM,
        RunStatus.RUNNING,
        created_at=_AT,
        updated_at=_AT,
    )


def _json(body: dict[str, object]) -> str:
    return orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()


if __name__ == "__main__":
    print(page(), end="")
