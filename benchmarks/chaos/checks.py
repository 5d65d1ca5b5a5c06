"""What must be true of every run once all is over. Each check gives the faults it found, in words; none means that it holds.

Compared strictly: every event of a message that is in the final transcript, the end of the run, and every event that both
the kept log and a client call by one number. The one difference that is allowed is documented in `events/shared.py` and
`loop/recovery.py`: where an owner and its Redis died together, what a client heard of that attempt is not kept. Then its
number is a ping, and a later ping names the message as superseded.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from benchmarks.chaos.client import Following, Got
from benchmarks.chaos.evidence import Ended, Evidence
from benchmarks.chaos.tale import Turn, arguments_of
from runstead.domain.message import Message, ReasoningPart, Role, TextPart
from runstead.domain.run import RunStatus, StopReason
from runstead.domain.step import StepStatus

SHOWN = 300
Faults = Iterator[str]


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken promise: by which check, in which run ("" where it is of none), and what is wrong."""

    check: str
    run_id: str
    what: str

    def __str__(self) -> str:
        return f"{self.check}: {self.run_id} {self.what}"


def every_request_made_a_run(evidence: Evidence) -> Faults:
    """What was asked for was admitted, once, and no answer was an error that nobody should get."""
    for sent in evidence.never:
        yield f"{sent.tale.key} made no run (id {sent.run_id}); {sent.troubles[-3:]}"
    for client in evidence.clients:
        for trouble in client.troubles:
            yield trouble
        for sent in client.sent:
            for trouble in sent.troubles:
                yield f"{sent.run_id}: {trouble}"
    by_id = Counter(ended.id for ended in evidence.ended)
    for run_id, count in by_id.items():
        if count > 1:
            yield f"{run_id} answers {count} requests"


def no_run_is_active(evidence: Evidence) -> Faults:
    """No run has an owner or is not over, also none that nobody asked for."""
    for run_id in evidence.active:
        yield f"{run_id} is active or has an owner"


def it_is_over_and_right(ended: Ended) -> Faults:
    """Completed, with as many steps as the story has turns, and with the usage of all its steps."""
    run = ended.run
    turns = len(ended.sent.tale.turns)
    if (run.status, run.stop_reason) != (RunStatus.COMPLETED, StopReason.END_TURN):
        yield f"is {run.status} ({run.stop_reason}) {dict(run.metadata)}"
    if run.step_count != turns:
        yield f"counts {run.step_count} steps of {turns}"
    spent = sum(step.usage.completion_tokens for step in ended.steps)
    if spent != run.usage.completion_tokens:
        yield f"counts {run.usage.completion_tokens} tokens, its steps {spent}"


def its_steps_are_made_once(ended: Ended) -> Faults:
    """One successful step a turn; every other is one that was given up, and says so."""
    made = [step for step in ended.steps if step.error_type != "abandoned"]
    statuses = [step.status for step in made]
    if statuses != [StepStatus.SUCCESS] * len(ended.sent.tale.turns):
        yield f"has the steps {statuses}"


def its_transcript_is_the_story(ended: Ended) -> Faults:
    """The question, then for each turn its answer and one return a call, word for word and nothing else."""
    wanted: list[tuple[Role, object]] = [(Role.USER, ended.sent.tale.message)]
    for turn in ended.sent.tale.turns:
        wanted.append((Role.ASSISTANT, _answer_of(turn)))
        wanted += [(Role.TOOL, call.id) for call in turn.calls]
    found = [(m.role, _content(m)) for m in ended.kept]
    if found != wanted:
        yield f"has the transcript {_short(found)}, not {_short(wanted)}"
    if any(not m.in_context or m.mark is not None for m in ended.kept):
        yield "keeps a message outside of the context, or with a mark"
    failed = [m.tool_return for m in ended.kept if m.tool_return and m.tool_return.status != "success"]
    if failed:
        yield f"has calls that failed: {failed}"


def its_calls_are_committed_once(evidence: Evidence) -> Faults:
    """Each line that a call writes into the agent's memory stands there once, in the order of the runs."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for ended in evidence.ended:
        wanted[ended.sent.agent_id] += ended.sent.tale.notes
    for agent_id, notes in wanted.items():
        lines = [line for line in evidence.blocks[agent_id].split("\n") if line]
        if Counter(lines) != Counter(notes):
            more, less = Counter(lines) - Counter(notes), Counter(notes) - Counter(lines)
            yield f"{agent_id}: twice or alien: {dict(more)}, missing: {dict(less)}"


def its_log_is_the_same_everywhere(ended: Ended) -> Faults:
    """Byte for byte, from every process; numbered 1, 2, 3, …; and as long as the run says."""
    if not all(ended.logs):
        yield f"is not given by every process: {[len(log) for log in ended.logs]} events"
        return
    first = [(got.seq, got.data) for got in ended.logs[0]]
    for number, log in enumerate(ended.logs[1:], 1):
        if (differs := _first_difference(first, [(got.seq, got.data) for got in log])) is not None:
            yield f"differs between process 0 and {number}: {differs}"
    if [seq for seq, _ in first] != list(range(1, ended.run.last_seq + 1)):
        yield f"has the numbers {_gaps([seq for seq, _ in first])}, not 1 to {ended.run.last_seq}"


def its_log_tells_the_story(ended: Ended) -> Faults:
    """The surviving messages' events, put together, are the story: each piece once, in order, then one end."""
    told: dict[str, list[str]] = defaultdict(list)
    ends: list[str] = []
    for event in (logged.json for logged in ended.log):
        match event["message_type"]:
            case "reasoning_message":
                told[event["id"]].append(event["reasoning"])
            case "assistant_message":
                told[event["id"]].append(event["content"])
            case "tool_call_message":
                told[event["id"]].append(event["tool_call"].get("arguments") or "")
            case "tool_return_message":
                told[event["id"]].append(event["tool_call_id"])
            case "ping":
                pass
            case kind:
                ends.append(kind)
    if ends != ["stop_reason", "usage_statistics"]:
        yield f"ends with {ends}"
    for message in ended.kept:
        if message.role is Role.USER:
            continue
        pieces = told.pop(message.id, [])
        if "".join(pieces) != (wanted := _spoken(message)):
            yield f"tells of {message.id} {''.join(pieces)[:SHOWN]!r}, not {wanted[:SHOWN]!r}"
    if unnamed := set(told) - _superseded(ended):
        yield f"tells of {sorted(unnamed)}, which no transcript has and no ping supersedes"


def its_readers_got_everything_once(ended: Ended) -> Faults:
    """Each reader: 1, 2, 3, … without a gap or a double, to the end, with the kept log's own bytes."""
    if not ended.logs or not ended.logs[0]:
        return
    kept = [got.data for got in ended.logs[0]]
    survives = {m.id for m in ended.kept}
    superseded = _superseded(ended)
    for following in ended.sent.followings:
        seqs = [got.seq for got in following.got]
        if seqs != list(range(1, len(kept) + 1)) or not following.done:
            yield f"{_who(following)} got {_gaps(seqs)} of {len(kept)}, end: {following.done}"
            continue
        for got in following.got:
            if got.data != kept[got.seq - 1] and not _given_up(got, kept[got.seq - 1], survives, superseded):
                yield f"{_who(following)} got {got.seq} from {got.process}: {got.data!r}, kept: {kept[got.seq - 1]!r}"
                break


_RUN_CHECKS = (
    it_is_over_and_right,
    its_steps_are_made_once,
    its_transcript_is_the_story,
    its_log_is_the_same_everywhere,
    its_log_tells_the_story,
    its_readers_got_everything_once,
)
_CHECKS: tuple[Callable[[Evidence], Faults], ...] = (
    every_request_made_a_run,
    no_run_is_active,
    its_calls_are_committed_once,
)


def broken(evidence: Evidence) -> list[Fault]:
    """Everything that is not as it was promised."""
    found = [Fault(check.__name__, "", what) for check in _CHECKS for what in check(evidence)]
    for ended in evidence.ended:
        if not ended.run.status.final:
            found.append(Fault("it_is_over_and_right", ended.id, f"is {ended.run.status}"))
            continue
        found += [Fault(check.__name__, ended.id, what) for check in _RUN_CHECKS for what in check(ended)]
    return found


def lost_and_repeated(ended: Ended) -> tuple[int, int]:
    """How many events its readers missed, and how many they were given again."""
    lost = repeated = 0
    for following in ended.sent.followings:
        seqs = Counter(got.seq for got in following.got)
        lost += max(0, ended.run.last_seq - len(seqs))
        repeated += sum(seqs.values()) - len(seqs)
    return lost, repeated


def replaced(ended: Ended) -> int:
    """How many events of given-up attempts its readers have that the kept log has not."""
    if not ended.logs or not ended.logs[0]:
        return 0
    kept = {got.seq: got.data for got in ended.logs[0]}
    return sum(got.data != kept.get(got.seq) for f in ended.sent.followings for got in f.got)


def _given_up(got: Got, kept: bytes, survives: Container[str], superseded: Container[str]) -> bool:
    """Whether a reader's event may differ from the kept one: that is a bare ping, and this is of no consequence."""
    heard, instead = json.loads(got.data), json.loads(kept)
    if not _bare_ping(instead):
        return False
    if heard["message_type"] == "ping":
        return _bare_ping(heard)
    return heard.get("id") not in survives and heard.get("id") in superseded


def _bare_ping(event: dict[str, Any]) -> bool:
    return event["message_type"] == "ping" and "superseded_message_ids" not in event


def _superseded(ended: Ended) -> set[str]:
    pings = [e.json for e in ended.log if b"superseded_message_ids" in e.data]
    return {each for ping in pings for each in ping.get("superseded_message_ids", ())}


def _answer_of(turn: Turn) -> object:
    calls = tuple((call.id, call.name, arguments_of(call)) for call in turn.calls)
    return ("".join(turn.reasoning), "".join(turn.text), calls)


def _content(message: Message) -> object:
    if message.tool_return is not None:
        return message.tool_return.call_id
    if message.role is Role.USER:
        return message.text
    calls = tuple((call.id, call.name, call.arguments) for call in message.tool_calls)
    return (_joined(message, ReasoningPart), _joined(message, TextPart), calls)


def _joined(message: Message, kind: type[ReasoningPart | TextPart]) -> str:
    return "".join(part.text for part in message.parts if isinstance(part, kind))


def _spoken(message: Message) -> str:
    """All pieces that tell of a message, put together."""
    if message.tool_return is not None:
        return message.tool_return.call_id
    arguments = "".join(call.arguments for call in message.tool_calls)
    return _joined(message, ReasoningPart) + _joined(message, TextPart) + arguments


def _first_difference(one: list[tuple[int, bytes]], other: list[tuple[int, bytes]]) -> str | None:
    for left, right in zip(one, other, strict=False):
        if left != right:
            return f"{left} and {right}"
    return None if len(one) == len(other) else f"{len(one)} and {len(other)} events"


def _gaps(seqs: list[int]) -> str:
    """Numbers, where something is wrong with their order."""
    odd = [f"{a}→{b}" for a, b in pairwise(seqs) if b != a + 1]
    return f"{len(seqs)} numbers to {seqs[-1] if seqs else 0} ({', '.join(odd[:5]) or 'in order'})"


def _who(following: Following) -> str:
    return f"{following.name} (attached to {following.attached})"


def _short(found: object) -> str:
    return str(found)[:SHOWN]
