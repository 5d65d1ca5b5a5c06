"""The run machine: total over its table, and what is final stays final, whatever is thrown at it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.domain.run import Run, RunStatus, RunType, StopReason
from runstead.domain.run_machine import (
    TABLE,
    Advanced,
    CancelRequested,
    Claimed,
    Finished,
    HandedOver,
    IllegalTransition,
    RunInput,
    drawing,
    final_status,
    transition,
)
from runstead.domain.step import Usage
from runstead.ids import AgentId, OrganizationId, RunId, UserId

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DRAWING = Path(__file__).parents[2] / "docs" / "state_machine.md"

counts = st.integers(0, 10_000)
usages = st.builds(Usage, counts, counts, counts, counts, counts)
inputs: st.SearchStrategy[RunInput] = st.one_of(
    st.builds(Claimed, st.sampled_from(["a", "b"]), st.floats(1, 60)),
    st.builds(Advanced, usages, st.integers(0, 3), st.none() | counts),
    st.builds(Finished, st.sampled_from(StopReason), usages, st.integers(0, 3)),
    st.builds(CancelRequested),
    st.builds(HandedOver),
)


def new_run() -> Run:
    return Run(
        id=RunId("run-1"),
        user_id=UserId("user-1"),
        organization_id=OrganizationId("org-1"),
        agent_id=AgentId("agent-1"),
        type=RunType.SEND,
        status=RunStatus.CREATED,
        created_at=NOW,
        updated_at=NOW,
        metadata={"agent_id": "agent-1", "background": False},
    )


@given(st.lists(inputs, max_size=12))
def test_every_sequence_of_inputs_keeps_the_promises(given_inputs: list[RunInput]) -> None:
    """Epochs only grow, usage is never lost, metadata is never replaced, and nothing follows a final status."""
    run = new_run()
    for number, each in enumerate(given_inputs):
        try:
            after = transition(run, each, NOW + timedelta(seconds=number))
        except IllegalTransition:
            assert (run.status, type(each)) not in TABLE
            continue

        assert not run.status.final
        assert after.epoch == run.epoch + isinstance(each, Claimed)
        assert after.usage.total_tokens >= run.usage.total_tokens
        assert run.metadata.items() <= after.metadata.items()
        assert after.status.final == isinstance(each, Finished)
        assert after.status.final == (after.completed_at is not None)
        assert not after.status.final or after.owner is None
        run = after


@pytest.mark.parametrize("status", list(RunStatus))
@pytest.mark.parametrize("kind", [Claimed, Advanced, Finished, CancelRequested, HandedOver])
def test_the_table_is_all_there_is(status: RunStatus, kind: type[RunInput]) -> None:
    """An input is taken exactly where the table has a row for it."""
    made: dict[type[RunInput], RunInput] = {
        Claimed: Claimed("a", 15),
        Advanced: Advanced(),
        Finished: Finished(StopReason.END_TURN),
        CancelRequested: CancelRequested(),
        HandedOver: HandedOver(),
    }
    run = replace(new_run(), status=status)
    if (status, kind) in TABLE:
        assert transition(run, made[kind], NOW).status in TABLE[status, kind]
    else:
        with pytest.raises(IllegalTransition):
            transition(run, made[kind], NOW)


@pytest.mark.parametrize("reason", list(StopReason))
def test_a_stop_reason_means_one_status(reason: StopReason) -> None:
    """The mapping of the API: four reasons complete a run, `cancelled` cancels it, all others fail it."""
    completes = {"end_turn", "max_steps", "tool_rule", "requires_approval"}
    expected = (
        RunStatus.COMPLETED
        if reason.value in completes
        else RunStatus.CANCELLED
        if reason is StopReason.CANCELLED
        else RunStatus.FAILED
    )

    assert expected == final_status(reason)


def test_a_cancel_is_noted_once() -> None:
    """Asking again does not move the time of the first request."""
    first = transition(new_run(), CancelRequested(), NOW)
    second = transition(first, CancelRequested(), NOW + timedelta(seconds=9))

    assert NOW == first.cancel_requested_at == second.cancel_requested_at


def test_the_drawing_in_the_docs_is_the_table() -> None:
    """docs/state_machine.md holds the diagram that the table gives now."""
    assert drawing() in DRAWING.read_text()
