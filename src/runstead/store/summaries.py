"""What lists of runs show beside a run: whose it is, which model answers, and how its input begins. Reads only.

Four statements for a page of runs, each by an index, however long the runs are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select

from runstead.domain.message import Role
from runstead.domain.run import Run, RunStatus
from runstead.ids import UserId
from runstead.store.lines import FIRST, LinePlace, places
from runstead.store.pages import Page
from runstead.store.runs import RunFilter, list_runs, some_runs
from runstead.store.schema import agents, messages, steps

INPUT_CHARS = 200

_AGENTS = select(agents.c.id, agents.c.name, agents.c.model).where(
    agents.c.id.in_(bindparam("agent_ids", expanding=True)), agents.c.user_id == bindparam("of_user")
)
_INPUTS = (
    select(messages.c.run_id, func.substr(messages.c.text, 1, INPUT_CHARS))
    .where(
        messages.c.run_id.in_(bindparam("run_ids", expanding=True)),
        messages.c.user_id == bindparam("of_user"),
        messages.c.role == Role.USER.value,
    )
    .order_by(messages.c.position.desc())
)
_NEWEST = (
    select(func.max(steps.c.position))
    .where(steps.c.run_id.in_(bindparam("run_ids", expanding=True)))
    .group_by(steps.c.run_id)
)
_MODELS = select(steps.c.run_id, steps.c.model_handle).where(
    steps.c.position.in_(_NEWEST), steps.c.user_id == bindparam("of_user")
)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How one run is shown in a list. `input` is the beginning of its first user message, None where it has none.

    `place` is where it stands in line.
    """

    agent_name: str | None = None
    model: str | None = None
    input: str | None = None
    place: LinePlace = FIRST


def list_summed(
    conn: Connection, user_id: UserId, where: RunFilter, page: Page
) -> list[tuple[Run, RunSummary]]:
    """A page of an actor's runs with their summaries, of one moment. Raises `NotFound` for an unknown cursor."""
    return with_summaries(conn, user_id, list_runs(conn, user_id, where, page))


def with_summaries(conn: Connection, user_id: UserId, runs: Sequence[Run]) -> list[tuple[Run, RunSummary]]:
    """Runs of this actor with their summaries. A run whose agent is deleted keeps its model and input, not the name."""
    if not runs:
        return []
    of_agents = {"agent_ids": sorted({run.agent_id for run in runs}), "of_user": user_id}
    of_runs = {"run_ids": [run.id for run in runs], "of_user": user_id}
    agents_found = {agent_id: (name, model) for agent_id, name, model in conn.execute(_AGENTS, of_agents)}
    # The oldest comes last and wins.
    inputs = {run_id: str(begin) for run_id, begin in conn.execute(_INPUTS, of_runs)}
    line = places(conn, user_id, [run.id for run in runs if run.status is RunStatus.CREATED])
    models = {run_id: str(handle) for run_id, handle in conn.execute(_MODELS, of_runs)}
    found: list[tuple[Run, RunSummary]] = []
    for run in runs:
        name, model = agents_found.get(run.agent_id, (None, None))
        handle = models.get(run.id) or run.request.override_model or model
        found.append((run, RunSummary(name, handle, inputs.get(run.id), line.get(run.id, FIRST))))
    return found


def load_summed(conn: Connection, user_id: UserId, run_ids: Sequence[str]) -> list[tuple[Run, RunSummary]]:
    """Those of these runs that are this actor's, with their summaries."""
    return with_summaries(conn, user_id, some_runs(conn, user_id, run_ids))
