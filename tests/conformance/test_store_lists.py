"""What every store's lists promise: a filter leaves what it names, a walk by cursor misses nothing. On both databases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.conformance.stores import Stores
from tests.store.rows import NOW, agent, block

from runstead.domain.message import Message, Role, TextPart
from runstead.domain.run import Run, RunStatus, RunType, StopReason
from runstead.domain.step import Step
from runstead.errors import Invalid, NotFound
from runstead.ids import (
    DEFAULT_ORGANIZATION,
    DEFAULT_USER,
    ConversationId,
    MessageId,
    RunId,
    StepId,
    UserId,
)
from runstead.store import agents, blocks, messages, runs, steps, summaries
from runstead.store.agents import AgentFilter
from runstead.store.blocks import BlockFilter
from runstead.store.lines import LinePlace
from runstead.store.messages import MessageFilter, MessagePage
from runstead.store.pages import Page
from runstead.store.runs import RunFilter
from runstead.store.steps import StepFilter

pytestmark = pytest.mark.anyio
UP = Page(ascending=True)
WALK = 7


def run(number: int, **fields: object) -> Run:
    """A run of the default user."""
    made = Run(
        RunId(f"run-{number}"), DEFAULT_USER, DEFAULT_ORGANIZATION, agent().id, RunType.SEND, RunStatus.CREATED,
        NOW, NOW,
    )  # fmt: skip
    return replace(made, **fields)


def message(number: int, role: Role = Role.USER, **fields: object) -> Message:
    """A message of the default user to the agent."""
    made = Message(MessageId(f"message-{number}"), DEFAULT_USER, agent().id, role, NOW)
    return replace(made, **fields)


def step(number: int, **fields: object) -> Step:
    """A step of the default user."""
    made = Step(
        StepId(f"step-{number}"),
        RunId("run-1"),
        DEFAULT_USER,
        agent().id,
        NOW + timedelta(seconds=number),
        "a/m",
    )
    return replace(made, **fields)


def numbers(found: Sequence[object]) -> list[int]:
    """Which ones, by the number in their ids."""
    return [int(str(getattr(each, "id", each)).rpartition("-")[2]) for each in found]


async def test_agents_by_every_filter(two: Stores) -> None:
    """Name, text, tags, block, last stop, and the members of the document that Letta's clients filter by."""
    extra = {"project_id": "p", "template_id": "t", "base_template_id": "b", "identity_ids": ["i-1", "i_2"]}
    special = agent(2, name="Fifty_50%", tags=("x", "y"), extra=extra, last_stop_reason="end_turn")
    await two.a.write(agents.make_agent, special, [block(1)], (), [])
    await two.a.write(agents.insert_agent, agent(3, tags=("x",), extra={"project_id": "q"}))
    expected: list[tuple[AgentFilter, list[int]]] = [
        (AgentFilter(), [1, 2, 3]),
        (AgentFilter(name="Fifty_50%"), [2]),
        (AgentFilter(query_text="FIFTY_5"), [2]),
        (AgentFilter(query_text="50%"), [2]),
        (AgentFilter(query_text="f%y"), []),
        (AgentFilter(tags=("x", "z")), [2, 3]),
        (AgentFilter(tags=("x", "y"), match_all_tags=True), [2]),
        (AgentFilter(created_by_id=DEFAULT_USER), [1, 2, 3]),
        (AgentFilter(last_stop_reason="end_turn"), [2]),
        (AgentFilter(block_id=block(1).id), [2]),
        (AgentFilter(project_id="q"), [3]),
        (AgentFilter(template_id="t"), [2]),
        (AgentFilter(base_template_id="b", project_id="p"), [2]),
        (AgentFilter(identity_id="i_2"), [2]),
        (AgentFilter(identity_id="i-"), []),
        (AgentFilter(identifier_keys=("nobody",)), []),
    ]
    for where, found in expected:
        listed = await two.b.read(agents.list_agents, DEFAULT_USER, where, UP)
        assert (where, found) == (where, numbers(listed))
        assert len(found) == await two.b.read(agents.count_agents, DEFAULT_USER, where)


async def test_blocks_by_every_filter(two: Stores) -> None:
    """Label, name, words, tags, project, and how many agents hold it."""
    first = block(1, label="human", name="n", value="Likes TEA", description="Who", tags=("x", "y"))
    second = block(2, is_template=True, tags=("x",), extra={"project_id": "p"})
    await two.a.write(agents.make_agent, agent(2), [first, second, block(3)], (), [])
    await two.a.write(blocks.attach_to, DEFAULT_USER, agent(1).id, first.id)
    await two.a.write(blocks.insert_blocks, [block(4)])
    expected: list[tuple[BlockFilter, list[int]]] = [
        (BlockFilter(), [1, 2, 3, 4]),
        (BlockFilter(label="human"), [1]),
        (BlockFilter(name="n"), [1]),
        (BlockFilter(templates_only=True), [2]),
        (BlockFilter(tags=("x", "z")), [1, 2]),
        (BlockFilter(tags=("x", "y"), match_all_tags=True), [1]),
        (BlockFilter(label_search="HUM"), [1]),
        (BlockFilter(value_search="tea"), [1]),
        (BlockFilter(description_search="who"), [1]),
        (BlockFilter(agents_gt=0), [1, 2, 3]),
        (BlockFilter(agents_gt=2**40), []),
        (BlockFilter(agents_lt=2), [2, 3, 4]),
        (BlockFilter(agents_in=(0, 2)), [1, 4]),
        (BlockFilter(project_id="p"), [2]),
        (BlockFilter(nothing=True), []),
    ]
    for where, found in expected:
        listed = await two.b.read(blocks.list_blocks, DEFAULT_USER, where, UP)
        assert (where, found) == (where, numbers(listed))
        assert len(found) == await two.b.read(blocks.count_blocks, DEFAULT_USER, where)


async def test_runs_by_every_filter(two: Stores) -> None:
    """Agent, conversation, status, reason, background; and the same page as what changed since."""
    made = [
        run(1, background=True),
        run(2, agent_id=agent(2).id, conversation_id=ConversationId("conv-1")),
        run(3, status=RunStatus.FAILED, stop_reason=StopReason.ERROR, updated_at=NOW + timedelta(seconds=1)),
    ]
    for each in made:
        await two.a.write(runs.insert_run, each)
    expected: list[tuple[RunFilter, list[int]]] = [
        (RunFilter(), [1, 2, 3]),
        (RunFilter(agent_ids=(agent(2).id, "agent-9")), [2]),
        (RunFilter(conversation_id="conv-1"), [2]),
        (RunFilter(statuses=(RunStatus.CREATED, RunStatus.RUNNING)), [1, 2]),
        (RunFilter(stop_reason=StopReason.ERROR), [3]),
        (RunFilter(background=True), [1]),
        (RunFilter(background=False), [2, 3]),
    ]
    for where, found in expected:
        listed = await two.b.read(runs.list_runs, DEFAULT_USER, where, UP)
        assert (where, found) == (where, numbers(listed))
        assert [] == await two.b.read(runs.list_runs, UserId("user-2"), where, UP)
        ids, changed = await two.b.read(runs.list_changed, DEFAULT_USER, where, UP, {})
        assert (found, sorted(found)) == (numbers(ids), sorted(numbers(changed)))
    active = await two.b.read(runs.active_of_agent, DEFAULT_USER, agent().id)
    assert [1] == numbers(active)
    assert replace(made[0], position=active[0].position) == active[0]


async def test_runs_as_lists_show_them(two: Stores) -> None:
    """By what was said and when; counted; with whose they are, their model, their input's beginning, their place in line."""
    later = NOW + timedelta(minutes=1)
    made = [
        run(1, status=RunStatus.RUNNING),
        run(2, created_at=later),
        run(3, created_at=later, agent_id=agent(9).id, status=RunStatus.COMPLETED),
    ]
    for each in made:
        await two.a.write(runs.insert_run, each)
    said = [
        message(1, run_id=made[0].id, parts=(TextPart("Tell 50% MORE" + "!" * 300),)),
        message(2, run_id=made[0].id, parts=(TextPart("and this"),)),
        message(3, Role.ASSISTANT, run_id=made[1].id, parts=(TextPart("more of it"),)),
    ]
    await two.a.write(messages.insert_messages, said)
    await two.a.write(steps.save_steps, [step(1), step(2, model_handle="b/n")])
    expected: list[tuple[RunFilter, list[int]]] = [
        (RunFilter(search="50% more"), [1]),
        (RunFilter(search="0%m"), []),
        (RunFilter(search="and THIS"), [1]),
        (RunFilter(created_after=later), [2, 3]),
        (RunFilter(created_before=later), [1]),
    ]
    for where, found in expected:
        summed = await two.b.read(summaries.list_summed, DEFAULT_USER, where, UP)
        assert (where, found) == (where, numbers([each for each, _ in summed]))
        assert len(found) == sum((await two.b.read(runs.count_runs, DEFAULT_USER, where)).values())
        assert [] == await two.b.read(summaries.list_summed, UserId("user-2"), where, UP)
    one, two_, three = await two.b.read(summaries.list_summed, DEFAULT_USER, RunFilter(), UP)
    assert (one[1].agent_name, one[1].model) == (agent().name, "b/n")
    assert one[1].input == ("Tell 50% MORE" + "!" * 300)[: summaries.INPUT_CHARS]
    assert (two_[1].model, two_[1].input, two_[1].place) == (agent().model, None, LinePlace(made[0].id, 1))
    assert (three[1].agent_name, three[1].model) == (None, None)
    touched = await two.b.read(runs.touched_runs, DEFAULT_USER, later)
    assert {(run_id, active) for run_id, _, active in touched} == {
        (made[0].id, True),
        (made[1].id, True),
        (made[2].id, False),
    }
    assert [] == await two.b.read(runs.touched_runs, UserId("user-2"), NOW)
    assert [] == await two.b.read(summaries.load_summed, UserId("user-2"), [made[0].id])


async def test_messages_by_every_filter_and_by_words(two: Stores) -> None:
    """Agent, lane, run, role, errors; pages by position; words whatever their case, with NUL in the text."""
    made = [
        message(1, parts=(TextPart("Green TEA 100%"),), run_id=RunId("run-1")),
        message(2, Role.ASSISTANT, is_err=True),
        message(3, Role.ASSISTANT, conversation_id=ConversationId("conv-1")),
        message(4, parts=(TextPart("nul \0 inside"),), in_context=False),
    ]
    await two.a.write(messages.insert_messages, made)
    expected: list[tuple[MessageFilter, list[int]]] = [
        (MessageFilter(), [1, 2, 3, 4]),
        (MessageFilter(agent_id=agent().id, lane=agent().id), [1, 2, 4]),
        (MessageFilter(lane="conv-1"), [3]),
        (MessageFilter(run_id=RunId("run-1")), [1]),
        (MessageFilter(role=Role.ASSISTANT), [2, 3]),
        (MessageFilter(include_err=False), [1, 3, 4]),
    ]
    for where, found in expected:
        listed = await two.b.read(messages.list_messages, DEFAULT_USER, where, MessagePage())
        assert (where, found) == (where, numbers(listed))
    page = MessagePage(limit=2, ascending=False, after=made[0].id, before=made[3].id)
    assert [3, 2] == numbers(await two.b.read(messages.list_messages, DEFAULT_USER, MessageFilter(), page))
    for words, found in (("tea 100%", [1]), ("t%a", []), ("NUL", [4])):
        searched = await two.b.read(
            messages.search_messages, DEFAULT_USER, agent().id, words, [Role.USER], 10
        )
        assert (words, found) == (words, numbers(searched))
    nul = await two.b.read(messages.find_message, DEFAULT_USER, made[3].id)
    assert nul is not None
    assert nul.parts == made[3].parts
    assert [1, 2] == numbers(await two.b.read(messages.context_ids, DEFAULT_USER, agent().id))
    found_last = await two.b.read(messages.last_assistant, agent().id)
    assert found_last[0] is not None
    assert ([2], []) == (numbers([found_last[0]]), found_last[1])


async def test_steps_by_every_filter(two: Stores) -> None:
    """Run, agent, model, feedback, trace, tags, time."""
    made = [
        step(1, feedback="positive", trace_id="t-1"),
        step(2, model_handle="a/b_c", agent_id=agent(2).id, tags=("ü", "a%")),
        step(3, run_id=None, trace_id="t-3", tags=('sa"y', "ab")),
    ]
    await two.a.write(steps.save_steps, made)
    expected: list[tuple[StepFilter, list[int]]] = [
        (StepFilter(), [1, 2, 3]),
        (StepFilter(run_id=RunId("run-1")), [1, 2]),
        (StepFilter(agent_id=agent(2).id), [2]),
        (StepFilter(model="a/m"), [1, 3]),
        (StepFilter(model="b_c"), [2]),
        (StepFilter(model="_c"), []),
        (StepFilter(feedback="positive"), [1]),
        (StepFilter(has_feedback=True), [1]),
        (StepFilter(has_feedback=False), [2, 3]),
        (StepFilter(trace_ids=("t-1", "t-3")), [1, 3]),
        (StepFilter(tags=("ü", 'sa"y')), [2, 3]),
        (StepFilter(tags=("a%",)), [2]),
        (StepFilter(tags=("a",)), []),
        (StepFilter(since=made[1].created_at), [2, 3]),
        (StepFilter(until=made[1].created_at), [1, 2]),
    ]
    for where, found in expected:
        listed = await two.b.read(steps.list_steps, DEFAULT_USER, where, UP)
        assert (where, found) == (where, numbers(listed))


@pytest.mark.parametrize("order_by", ["created_at", "last_run_completion"])
@pytest.mark.parametrize("ascending", [True, False])
async def test_a_walk_by_cursor_gives_every_item_once(two: Stores, order_by: str, ascending: bool) -> None:
    """Also where moments are the same, and where the value that orders is missing for some."""
    for number in range(2, WALK + 1):
        at = NOW + timedelta(seconds=number // 3)
        ended = at if number % 2 else None
        await two.a.write(agents.insert_agent, agent(number, created_at=at, last_run_completion=ended))
    whole = Page(ascending=ascending, order_by=order_by)
    expected = numbers(await two.a.read(agents.list_agents, DEFAULT_USER, AgentFilter(), whole))
    assert list(range(1, WALK + 1)) == sorted(expected)

    for forwards in (True, False):
        walked: list[str] = []
        while True:
            cursor = (walked[-1] if forwards else walked[0]) if walked else None
            page = replace(whole, limit=2, **({"after" if forwards else "before": cursor} if cursor else {}))
            if not (forwards or walked):
                page = replace(whole, limit=WALK)
            found = [
                each.id for each in await two.b.read(agents.list_agents, DEFAULT_USER, AgentFilter(), page)
            ]
            if not forwards and not walked:
                found = found[-1:]
            if not found:
                break
            walked = [*walked, *found] if forwards else [*found, *walked]
        assert expected == numbers(walked)
    with pytest.raises(NotFound):
        await two.a.read(agents.list_agents, DEFAULT_USER, AgentFilter(), replace(whole, after="agent-99"))


async def test_a_value_that_cannot_be_stored_is_the_requests_fault(two: Stores) -> None:
    """NUL in a name: SQLite stores it, PostgreSQL cannot, and then says so as a bad request; never as a broken server."""
    try:
        await two.a.write(agents.insert_agent, agent(5, name="a\0b"))
    except Invalid as error:
        assert "NUL" in error.detail
        assert 1 == await two.b.read(agents.count_agents, DEFAULT_USER, AgentFilter())
    else:
        found = await two.b.read(agents.find_agent, DEFAULT_USER, agent(5).id)
        assert found is not None
        assert found.name == "a\0b"
