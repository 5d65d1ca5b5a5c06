"""What there is to see: a few agents and runs of every kind, said by the story model, as people would say it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import create_engine
from tests.serving import Client, run_id_in, saying
from tests.story_model import StoryModel

from runstead.domain.message import Role, TextPart
from runstead.ids import DEFAULT_USER, MessageId, RunId
from runstead.store import messages, runs
from runstead.store.messages import MessagePage
from runstead.store.pages import Page
from runstead.store.runs import RunFilter

Json = dict[str, Any]

FINDINGS = """Your notes have **three** things left for the release:

1. The migration guide still names the old setting.
2. `runstead serve` prints the address twice.
3. Nobody has measured the start on Python 3.13.

The second is one line:

```python
if not announced:
    print(f"listening on {address}")
```

| what | who | when |
|---|---|---|
| guide | Grace | Thursday |
| start | Alan | open |

> The rest of the list is done. See [the notes](https://example.org/notes)."""
ASK_LEFT = "What is left to do for the release?"
ASK_REFUND = "Refund order 1182, the parcel never arrived."
ASK_TOO_MUCH = "Compare all 40 contracts with the template."
ASK_BROKEN = "Write the announcement for the new timeline."
ASK_LONG = "Explain how a run survives a crash."
SAYINGS = (
    "Summarise the changes since Monday",
    "Which tests are slow, and why?",
    "Draft a reply to the question about proxies",
    "Who asked for the dark theme first?",
    "Turn these notes into a checklist",
)


def paced(text: str, ms: int = 4) -> list[str | Json]:
    """A text in words, each a moment after the other."""
    return [act for word in re.findall(r"\S+\s*|\s+", text) for act in (word, {"pause_ms": ms})]


def teach(model: StoryModel, gate: str) -> None:
    """Tell the story model what it answers to the questions here."""
    search = {
        "name": "conversation_search",
        "arguments": {"query": "release", "limit": 5},
        "id": "call_notes",
    }
    refund = {
        "name": "memory_insert",
        "arguments": {"label": "human", "new_str": "Refunded order 1182: 49.90 EUR", "insert_line": -1},
        "id": "call_refund",
    }
    thought = "The user asks what is left. I should look through the earlier messages before I answer."
    model.known |= {
        ASK_LEFT: [{"reasoning": paced(thought), "calls": [search]}, {"text": paced(FINDINGS)}],
        ASK_REFUND: [
            {"reasoning": paced("A refund changes money, so a person has to agree."), "calls": [refund]},
            {"text": paced("The refund of 49.90 EUR is noted.")},
        ],
        ASK_TOO_MUCH: [
            {
                "status": 429,
                "error": {"message": "Rate limit reached: 30,000 tokens a minute. Try again in 12 s."},
            }
        ],
        ASK_BROKEN: [
            {"text": [*paced("The new timeline shows every step of a run to scale, and"), {"die": True}]}
        ],
        ASK_LONG: [
            {
                "reasoning": paced("I will begin with the log, because everything else follows from it."),
                "text": [
                    *paced("Every event of a run is **written down** before anybody sees it. "),
                    {"gate": gate},
                ],
            }
        ],
    }


@dataclass(frozen=True, slots=True)
class Seeds:
    """The ids of what was made."""

    notes: str
    shop: str
    told: str
    failed: str
    broken: str
    asks: str


def said(client: Client, agent: str, text: str) -> str:
    """A background run that is over."""
    body = saying(text, stream_tokens=True, background=True)
    with client.stream(f"/v1/agents/{agent}/messages/stream", body) as frames:
        return run_id_in(list(frames))


def begun(client: Client, agent: str, text: str) -> str:
    """A background run that goes on."""
    body = saying(text, stream_tokens=True, background=True)
    with client.stream(f"/v1/agents/{agent}/messages/stream", body) as frames:
        return run_id_in([next(frames)])


def sow(client: Client, model: StoryModel, gate: str, sayings: int = 20) -> Seeds:
    """Make the agents and the runs. The answer to `ASK_LONG` stops at the gate."""
    teach(model, gate)
    blocks = [
        {"label": "persona", "value": "I keep the notes of the team and answer from them."},
        {
            "label": "human",
            "value": "The user's name is Grace.\nShe likes short answers.",
            "description": "What is known of who talks to me.",
        },
    ]
    notes = client.agent(name="Notes", memory_blocks=blocks, include_base_tools=True)
    shop = client.agent(
        name="Shop desk",
        memory_blocks=[{"label": "human", "value": ""}],
        include_base_tools=True,
        tool_rules=[{"type": "requires_approval", "tool_name": "memory_insert"}],
    )
    for number in range(sayings):
        said(client, shop if number % 3 == 0 else notes, SAYINGS[number % len(SAYINGS)])
    client.ask("POST", f"/v1/agents/{notes}/messages", saying("A question that waits for its answer"))
    failed = said(client, notes, ASK_TOO_MUCH)
    broken = said(client, notes, ASK_BROKEN)
    told = said(client, notes, ASK_LEFT)
    return Seeds(notes, shop, told, failed, broken, said(client, shop, ASK_REFUND))


def multiply(database: Path, count: int) -> None:
    """Give a stopped server that many more runs, each like its only one and a second earlier than the one before."""
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        (only,) = runs.list_runs(connection, DEFAULT_USER, RunFilter(), Page())
        found = messages.messages_of_run(connection, DEFAULT_USER, only.id, Role.USER, MessagePage())
        assert found is not None
        (question,) = found[1]
        for number in range(1, count + 1):
            at = only.created_at - timedelta(seconds=number)
            run_id = RunId(f"run-{number:08}-0000-4000-8000-000000000000")
            message_id = MessageId(f"message-{number:08}-0000-4000-8000-000000000000")
            runs.insert_run(
                connection, replace(only, id=run_id, created_at=at, updated_at=at, completed_at=at)
            )
            asked = replace(question, id=message_id, run_id=run_id, otid=None, created_at=at)
            messages.insert_messages(connection, [replace(asked, parts=(TextPart(f"Question {number}"),))])
    engine.dispose()


def spread(database: Path, hours: float) -> None:
    """Let the runs of a stopped server have happened over some hours, at the pace of a real model."""
    engine = create_engine(f"sqlite:///{database}")
    chance = Random(7)
    with engine.begin() as connection:
        ids = [row[0] for row in connection.exec_driver_sql("SELECT id FROM runs ORDER BY position DESC")]
        for number, run_id in enumerate(ids):
            back_us = int(hours * 3.6e9 * (number / len(ids)) ** 1.4 * chance.uniform(0.9, 1.0))
            first_ns = int(chance.lognormvariate(20.2, 0.45))
            took_ns = first_ns + int(chance.lognormvariate(22.0, 0.7))
            tokens = int(chance.lognormvariate(7.4, 0.6))
            connection.exec_driver_sql(
                "UPDATE runs SET created_at = created_at - ?, updated_at = updated_at - ?,"
                " completed_at = completed_at - ?, ttft_ns = ?, duration_ns = ?, prompt_tokens = ?, completion_tokens = ?"
                " WHERE id = ? AND status != 'running'",
                (back_us, back_us, back_us, first_ns, took_ns, tokens, tokens // 5, run_id),
            )
            document = "json_set(document, '$.model_ns', ?, '$.ttft_ns', ?)"
            connection.exec_driver_sql(
                "UPDATE steps SET created_at = created_at - ?, prompt_tokens = ?, completion_tokens = ?,"
                f" document = {document} WHERE run_id = ?",
                (back_us, tokens, tokens // 5, took_ns, first_ns, run_id),
            )
    engine.dispose()
