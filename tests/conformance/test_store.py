"""What every store promises (`store/database.py`), and what its queries hold among many processes. On both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from tests.conformance.stores import LEASE_S, USER, Stores
from tests.store.rows import NOW, agent, block

from runstead.domain.actor import Organization
from runstead.domain.agent import Agent, Block
from runstead.domain.message import Message, Role, TextPart
from runstead.domain.run import Run, StopReason
from runstead.domain.run_machine import Change, Finished, transition
from runstead.domain.step import Step
from runstead.errors import Busy, Conflict, NotFound, StaleEpoch, Unavailable
from runstead.ids import DEFAULT_USER, MessageId, OrganizationId, RunId, StepId, UserId
from runstead.store import actors, agents, blocks, deletions, idempotency, messages, outbox, runs, steps
from runstead.store import commit as commits
from runstead.store import events as rows
from runstead.store.events import EventRow
from runstead.store.pages import Page
from runstead.store.schema import runs as runs_table

pytestmark = pytest.mark.anyio
MANY = 12


def organization(number: int) -> Organization:
    """Something small to store."""
    return Organization(OrganizationId(f"org-{number:02}"), f"o{number}", NOW)


def ids_by_position(conn: Connection) -> list[str]:
    """Every run, in the order of its lane."""
    return list(conn.scalars(select(runs_table.c.id).order_by(runs_table.c.position)))


async def ended(two: Stores, run: Run, at: int = 0) -> None:
    """Claim a run and end it."""
    claim = await two.claim(run.id, at)
    assert claim is not None
    await two.both[at].write(commits.commit, *finished(claim.run))


def finished(run: Run) -> tuple[Change, int, tuple[EventRow, ...], int]:
    """What commits the end of an owned run, with a message and an event."""
    over = replace(transition(run, Finished(StopReason.END_TURN), NOW), commits=run.commits + 1)
    said = Message(
        MessageId(f"message-of-{run.id}-{run.epoch}"), run.user_id, run.agent_id, Role.ASSISTANT, NOW,
        parts=(TextPart("done"),),
    )  # fmt: skip
    row = EventRow(run.id, run.last_seq + 1, run.last_seq + 1, run.epoch, b"uover")
    return Change(over, messages=(said,)), run.epoch, (row,), run.last_seq + 1


async def test_a_write_is_all_there_or_not_at_all(two: Stores) -> None:
    """What a query wrote before it failed is gone, and its error comes out as it was raised."""

    def failing(conn: Connection) -> None:
        actors.insert_organization(conn, organization(1))
        raise NotFound("as it was raised")

    with pytest.raises(NotFound, match="as it was raised"):
        await two.a.write(failing)
    with pytest.raises(IntegrityError):
        await two.a.write(lambda conn: [actors.insert_organization(conn, organization(n)) for n in (2, 3, 2)])
    await two.a.write(actors.insert_organization, organization(4))

    for number, there in ((1, None), (2, None), (3, None), (4, organization(4))):
        assert there == await two.b.read(actors.find_organization, f"org-{number:02}")


async def test_who_fails_among_many_harms_nobody(two: Stores) -> None:
    """Writes that come at once do not see one another's failures."""
    writes = [
        two.both[n % 2].write(actors.insert_organization, organization(n // 2)) for n in range(2 * MANY)
    ]
    found = await asyncio.gather(*writes, return_exceptions=True)

    assert MANY == len([each for each in found if each is None])
    assert MANY == len([each for each in found if isinstance(each, IntegrityError)])
    assert MANY + 1 == len(await two.a.read(actors.list_organizations, Page()))


async def test_a_read_writes_nothing(two: Stores) -> None:
    """Who writes where only a read was asked for is told so."""
    with pytest.raises((DBAPIError, Unavailable)):
        await two.a.read(actors.insert_organization, organization(1))
    assert None is await two.a.read(actors.find_organization, "org-01")


async def test_defaults_are_made_once_by_many(two: Stores) -> None:
    """Processes that start at once make one default user."""
    await two.a.write(lambda conn: conn.execute(text("DELETE FROM agents")))
    await two.a.write(lambda conn: conn.execute(text("DELETE FROM users")))
    await asyncio.gather(*(two.both[n % 2].write(actors.ensure_defaults, NOW) for n in range(MANY)))

    assert 1 == len(await two.a.read(actors.list_users, Page()))


async def test_of_many_claimers_one_wins(two: Stores) -> None:
    """However many processes hear of a run, one owns it, once."""
    run = await two.admit()
    claims = await asyncio.gather(*(two.claim(run.id, n, owner=f"p{n}") for n in range(MANY)))

    winners = [claim for claim in claims if claim is not None]
    assert 1 == len(winners)
    stored = await two.b.read(runs.get_run, run.id)
    assert stored is not None
    assert (1, winners[0].run.owner) == (stored.epoch, stored.owner)


async def test_a_lane_has_one_order_and_one_run_at_a_time(two: Stores) -> None:
    """Runs that are admitted at once get places in the order in which others see them; each waits for those before it."""
    looks: list[list[str]] = []

    async def look() -> None:
        while len(looks) < 1 or len(looks[-1]) < MANY:
            looks.append(await two.a.read(ids_by_position))

    async with asyncio.TaskGroup() as group:
        group.create_task(look())
        admitted = await asyncio.gather(*(two.admit(n) for n in range(MANY)))
    line = looks[-1]

    assert {run.id for run in admitted} == set(line)
    assert all(seen == line[: len(seen)] for seen in looks)
    assert 1 == len(await two.a.read(messages.in_context, agent().id))
    for number, run_id in enumerate(line):
        assert [run_id] == await two.b.read(runs.due_runs, two.clock.now(), MANY)
        for later in line[number + 1 :]:
            assert None is await two.claim(RunId(later), 1)
        run = await two.a.read(runs.get_run, RunId(run_id))
        assert run is not None
        await ended(two, run, number % 2)
    spoken = await two.a.read(messages.in_context, agent().id)
    assert [(Role.USER, RunId(run_id)) for run_id in line] == [
        (message.role, message.run_id) for message in spoken if message.role is Role.USER
    ]


async def test_one_key_makes_one_run(two: Stores) -> None:
    """However often and wherever the same request comes, there is one run; another request under its key is refused."""
    made = await asyncio.gather(*(two.admit(n, key="k", body=b"same") for n in range(MANY)))

    assert 1 == len({run.id for run in made})
    assert 1 == len(await two.a.read(ids_by_position))
    assert 1 == len(await two.a.read(messages.in_context, agent().id))
    with pytest.raises(Conflict):
        await two.admit(key="k", body=b"other")
    await ended(two, made[0])
    await two.a.write(commits.delete_run, made[0], NOW)
    again = await two.admit(1, key="k", body=b"other")
    assert again.id != made[0].id
    remembered = await two.a.read(idempotency.recall, DEFAULT_USER, "key:k")
    assert remembered is not None
    assert remembered.run_id == again.id


async def test_an_old_owner_writes_nothing(two: Stores) -> None:
    """With an epoch that is over, a commit and an append change nothing, and a commit that stands is not made twice."""
    run = await two.admit()
    old, new = await two.claim(run.id), await two.claim(run.id, 1, force=True)
    assert old is not None
    assert new is not None
    with pytest.raises(StaleEpoch):
        await two.a.write(commits.commit, *finished(old.run))
    row = EventRow(run.id, 2, 2, old.run.epoch, b"mlate")
    assert [row] == await two.a.write(rows.append, [row])
    assert 1 == await two.a.read(rows.last_seq, run.id)

    for _ in range(2):
        await two.b.write(commits.commit, *finished(new.run))

    assert 2 == await two.a.read(rows.last_seq, run.id)
    said = await two.a.read(messages.in_context, agent().id)
    assert [Role.USER, Role.ASSISTANT] == [message.role for message in said]


async def test_an_append_counts_once_and_names_what_was_refused(two: Stores) -> None:
    """Sent again it changes nothing; of many rows exactly those of lost runs are refused."""
    await two.a.write(agents.insert_agent, agent(2))
    mine, lost = await two.admit(), await two.admit(agent_id=agent(2).id)
    assert await two.claim(mine.id)
    assert await two.claim(lost.id)
    assert await two.claim(lost.id, 1, force=True)
    batch = [
        EventRow(mine.id, 2, 3, 1, b"ma\nmb"),
        EventRow(lost.id, 2, 2, 1, b"mx"),
        EventRow(mine.id, 4, 4, 1, b"mc"),
    ]
    for _ in range(2):
        assert [batch[1]] == await two.a.write(rows.append, batch)

    assert [(1, 4), (2, 4), (4, 4)] == [
        (first, await two.b.read(rows.last_seq, mine.id))
        for first, _ in await two.b.read(rows.read, mine.id, 0)
    ]
    assert [4] == [first for first, _ in await two.b.read(rows.read, mine.id, 3)]


async def test_an_append_and_a_takeover_at_once(two: Stores) -> None:
    """Either the new owner knows of the row, or the row is refused: never a row behind its back."""

    def slowly(conn: Connection, row: EventRow) -> list[EventRow]:
        refused = rows.append(conn, [row])
        if conn.dialect.name == "postgresql":  # elsewhere nobody comes between
            conn.execute(select(func.pg_sleep(0.02)))
        return refused

    run = await two.admit()
    for epoch in range(1, MANY):
        claim = await two.claim(run.id, force=True)
        assert claim is not None
        seq = claim.run.last_seq + 1
        row = EventRow(run.id, seq, seq, epoch * 2 - 1, b"mx")
        refused, taken = await asyncio.gather(two.a.write(slowly, row), two.claim(run.id, 1, force=True))
        assert taken is not None
        assert taken.run.last_seq == (seq - 1 if refused else seq)
        assert taken.run.last_seq == await two.a.read(rows.last_seq, run.id)


async def test_leases_are_renewed_for_what_is_held(two: Stores) -> None:
    """Only the named runs, only those still owned; who is to be cancelled is told."""
    for number in range(2, 5):
        await two.a.write(agents.insert_agent, agent(number))
    made = [await two.admit(agent_id=agent(n).id) for n in range(1, 5)]
    for run in made:
        assert await two.claim(run.id)
    assert await two.claim(made[1].id, 1, owner="other", force=True)
    await two.b.write(runs.request_cancel, DEFAULT_USER, made[2].id, NOW)
    until = two.clock.now() + timedelta(seconds=60)
    named = [run.id for run in made[:3]]

    held = await two.a.write(runs.renew_leases, "me", named, until)

    assert {
        made[0].id: runs.Held(1, cancel_requested=False),
        made[2].id: runs.Held(1, cancel_requested=True),
    } == held
    leases = [(await two.b.read(runs.get_run, run.id)) for run in made]
    assert [60, LEASE_S, 60, LEASE_S] == [
        (run.lease_until - two.clock.now()).total_seconds() for run in leases if run and run.lease_until
    ]
    assert {} == await two.a.write(runs.renew_leases, "me", [], until)


async def test_changes_at_once_are_all_there(two: Stores) -> None:
    """Who reads, changes and writes a block or an agent loses nobody else's change."""
    await two.a.write(agents.make_agent, agent(2), [block(1, value="")], (), [])

    def longer(before: Block) -> Block:
        return replace(before, value=before.value + "x")

    def tagged(number: int, before: Agent) -> Agent:
        return replace(before, tags=(*before.tags, f"t{number}"))

    async def write(number: int) -> None:
        db = two.both[number % 2]
        named = ("label-1", longer, agent(2).id) if number % 3 else (block(1).id, longer, None)
        await db.write(blocks.change_block, DEFAULT_USER, *named)
        await db.write(agents.change_agent, DEFAULT_USER, agent(2).id, lambda before: tagged(number, before))

    await asyncio.gather(*(write(number) for number in range(MANY)))

    record = await two.b.read(agents.find_record, DEFAULT_USER, agent(2).id)
    assert record is not None
    assert [MANY] == [len(each.value) for each in record.blocks]
    assert {f"t{n}" for n in range(MANY)} == set(record.agent.tags)
    assert sorted(record.agent.tags) == await two.a.read(agents.list_tags, DEFAULT_USER)


async def test_a_label_is_taken_once(two: Stores) -> None:
    """Of many blocks with one label an agent gets one, whoever comes at once; the others are told."""
    many = [block(n, label="same") for n in range(MANY)]
    await two.a.write(blocks.insert_blocks, many)
    attached = await asyncio.gather(
        *(two.both[n % 2].write(blocks.attach_to, DEFAULT_USER, agent().id, many[n].id) for n in range(MANY)),
        return_exceptions=True,
    )

    assert [True] == [each for each in attached if not isinstance(each, Conflict)]
    assert 1 == len(await two.a.read(blocks.blocks_of_agent, DEFAULT_USER, agent().id))


async def test_an_agent_goes_or_gets_a_run(two: Stores) -> None:
    """Deleting and admitting at once: the one is busy, or the other finds nothing. No run is left without its agent."""
    for number in range(2, MANY):
        await two.a.write(agents.insert_agent, agent(number))
        name = agent(number).id
        gone, admitted = await asyncio.gather(
            two.a.write(agents.delete_agent, DEFAULT_USER, name, NOW),
            two.admit(1, agent_id=name),
            return_exceptions=True,
        )
        if gone is True:
            assert isinstance(admitted, NotFound)
        else:
            assert isinstance(gone, Busy)
            assert isinstance(admitted, Run)


async def test_folding_at_once_keeps_every_event(two: Stores) -> None:
    """Two processes that pack the same run's events leave them once; a deleted run leaves none."""
    run = await two.admit()
    claim = await two.claim(run.id)
    assert claim is not None
    lines = [EventRow(run.id, n, n, 1, b"m%d" % n) for n in range(2, 20)]
    await two.a.write(rows.append, lines)
    await two.a.write(commits.commit, *finished(replace(claim.run, last_seq=19)))
    assert [run.id] == await two.b.read(rows.unpacked, [run.id])

    await asyncio.gather(*(two.both[n % 2].write(rows.fold, [run.id]) for n in range(4)))

    assert [] == await two.b.read(rows.unpacked, [run.id])
    ((first, body),) = await two.a.read(rows.read, run.id, 0)
    assert (1, 20) == (first, len(body.split(b"\n")))
    await asyncio.gather(two.a.write(commits.delete_run, claim.run, NOW), two.b.write(rows.fold, [run.id]))
    assert [] == await two.b.read(rows.read, run.id, 0)


async def test_a_deletion_is_remembered_for_a_while(two: Stores) -> None:
    """Another process finds it by its time, once, and only its actor's; what is old is forgotten in batches."""
    made = [await two.admit(n) for n in (1, 2, 3)]
    for hours, run in enumerate(made):
        await ended(two, run)
        for store in two.both:
            await store.write(commits.delete_run, run, NOW + timedelta(hours=hours))
    late = NOW + timedelta(hours=1)
    assert {made[1].id, made[2].id} == set(await two.b.read(deletions.deleted_since, DEFAULT_USER, late))
    assert [] == await two.b.read(deletions.deleted_since, UserId("user-2"), NOW)
    assert 1 == await two.a.write(deletions.forget_before, late + timedelta(seconds=1), 1)
    assert {made[1].id, made[2].id} == set(await two.b.read(deletions.deleted_since, DEFAULT_USER, NOW))
    assert 1 == await two.a.write(deletions.forget_before, late + timedelta(seconds=1), 5)
    assert [made[2].id] == await two.b.read(deletions.deleted_since, DEFAULT_USER, NOW)


async def test_a_delivery_is_tried_by_one(two: Stores) -> None:
    """Of many processes one takes what is due."""
    await two.a.write(outbox.enqueue, RunId("run-1"), "callback", "http://x", NOW)
    (due,) = await two.a.read(outbox.due, NOW, 10)
    until = NOW + timedelta(seconds=9)
    taken = await asyncio.gather(
        *(two.both[n % 2].write(outbox.lease, due.position, due.attempts, until) for n in range(MANY))
    )

    assert 1 == sum(taken)
    assert [] == await two.b.read(outbox.due, NOW, 10)


async def test_a_step_is_replaced_where_it_is_there(two: Stores) -> None:
    """Saving a step again changes it and makes no second one."""
    from_run = await two.admit()
    made = [Step(steps_id(n), from_run.id, USER.id, agent().id, NOW, "openai/m") for n in range(3)]
    await two.a.write(steps.save_steps, made)
    changed = replace(made[1], model_handle="other/m", tags=("t",))
    await asyncio.gather(*(db.write(steps.save_steps, [changed]) for db in two.both))

    found = await two.b.read(steps.list_steps, DEFAULT_USER, steps.StepFilter(), Page(ascending=True))
    assert [made[0], changed, made[2]] == found
    await two.a.write(steps.save_steps, [])


def steps_id(number: int) -> StepId:
    """The id of a step."""
    return StepId(f"step-{number}")
