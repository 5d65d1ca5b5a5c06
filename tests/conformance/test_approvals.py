"""Many processes and one question: of answers, timers and cancels at once exactly one counts. On both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.conformance.stores import USER, Stores
from tests.store.rows import NOW, agent

from runstead.domain.approval import ApprovalTerms
from runstead.domain.message import Decision, Message, Role, ToolCall
from runstead.domain.run import Run, RunType, StopReason
from runstead.domain.run_machine import Change, Finished, transition
from runstead.errors import Conflict, Invalid
from runstead.ids import DEFAULT_USER, MessageId, RandomIds
from runstead.runs.admit import NewRun
from runstead.runs.answers import Answered
from runstead.runs.refuse import refuse
from runstead.store import agents, approvals, messages, runs
from runstead.store import commit as commits
from runstead.store.messages import MessageFilter, MessagePage

pytestmark = pytest.mark.anyio
TERMS = ApprovalTerms(3600.0)
TIMES = 6


async def asking(two: Stores, number: int) -> Run:
    """A run of an agent of its own that ended with a question."""
    await two.a.write(agents.insert_agent, agent(number))
    run = await two.admit(agent_id=agent(number).id)
    claim = await two.claim(run.id)
    assert claim is not None
    asked = Message(
        MessageId(f"message-asks-{number}"), run.user_id, run.agent_id, Role.ASSISTANT, NOW, run_id=run.id,
        tool_calls=(ToolCall(f"call-{number}", "t", "{}", needs_approval=True),),
    )  # fmt: skip
    given = Finished(StopReason.REQUIRES_APPROVAL, asks=asked.id, asks_until=NOW + timedelta(hours=1))
    over = replace(transition(claim.run, given, NOW), commits=run.commits + 1)
    await two.a.write(commits.commit, Change(over, messages=(asked,)), claim.run.epoch, (), over.last_seq)
    (found,) = await two.a.read(approvals.asking, DEFAULT_USER, agent_id=run.agent_id)
    return found


def answer(run: Run, number: int) -> NewRun:
    """A person's yes."""
    said = Answered(decisions=(Decision(f"call-{number}", approve=True),))
    return NewRun(user=USER, agent_id=run.agent_id, type=RunType.ASYNC, inputs=(said,))


async def answers(two: Stores, run: Run) -> list[Message]:
    """What was answered, and nothing is asked any more."""
    assert [] == await two.b.read(approvals.asking, DEFAULT_USER, agent_id=run.agent_id)
    where = MessageFilter(agent_id=run.agent_id, role=Role.APPROVAL)
    return await two.b.read(messages.list_messages, DEFAULT_USER, where, MessagePage())


async def test_two_timers_make_one_run(two: Stores) -> None:
    """Both read the question before either answers it."""
    for number in range(2, 2 + TIMES):
        run = await asking(two, number)

        made = await asyncio.gather(*(each.expire(run, TERMS) for each in two.admissions))

        assert 1 == sum(each is not None for each in made)
        assert 1 == len(await answers(two, run))
        assert 2 == len(await two.a.read(runs.active_of_agent, DEFAULT_USER, run.agent_id)) + 1


async def test_a_timer_and_an_answer(two: Stores) -> None:
    """The timer finds nothing to do, or the answer is told that it comes too late."""
    for number in range(2, 2 + TIMES):
        run = await asking(two, number)

        expired, answered = await asyncio.gather(
            two.admissions[0].expire(run, TERMS),
            two.admissions[1].admit(answer(run, number)),
            return_exceptions=True,
        )

        (one,) = await answers(two, run)
        if expired is None:
            assert isinstance(answered, Run)
            assert one.decisions[0].approve
        else:
            assert isinstance(expired, Run) and isinstance(answered, Conflict)
            assert "expired after 1 hour" in str(answered.detail)


async def test_a_cancel_and_an_answer(two: Stores) -> None:
    """The call is denied and the answer refused, or the answer stands and the cancel finds nothing."""
    ids = RandomIds()
    for number in range(2, 2 + TIMES):
        run = await asking(two, number)

        refused, answered = await asyncio.gather(
            two.a.write(refuse, run, "cancelled", NOW, ids),
            two.admissions[1].admit(answer(run, number)),
            return_exceptions=True,
        )

        (one,) = await answers(two, run)
        assert refused is not one.decisions[0].approve
        assert isinstance(answered, Conflict | Invalid if refused else Run)
