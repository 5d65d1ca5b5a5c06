"""Settings: what the environment says, and what it may not say."""

from __future__ import annotations

import pytest

from runstead.domain.run import BusyPolicy
from runstead.errors import Invalid
from runstead.settings import CHOICES, from_environment


def test_a_busy_policy_is_one_of_three() -> None:
    """The words are the domain's; anything else is refused by name, with what is allowed."""
    assert tuple(policy.value for policy in BusyPolicy) == CHOICES["RUNSTEAD_BUSY_POLICY"]
    assert from_environment({}).busy_policy == "wait"
    assert from_environment({"RUNSTEAD_BUSY_POLICY": " Interrupt "}).busy_policy == "interrupt"
    with pytest.raises(Invalid, match="RUNSTEAD_BUSY_POLICY must be wait, refuse or interrupt, not 'queue'"):
        from_environment({"RUNSTEAD_BUSY_POLICY": "queue"})


def test_roles_and_processes_are_for_those_who_share_a_postgres() -> None:
    """On SQLite both are refused, with what to do; who only works takes a free port unless one is named."""
    shared = {"RUNSTEAD_DATABASE_URL": "postgresql://db/runstead"}
    for given in ({"role": "worker"}, {"role": "api"}, {"processes": 2}):
        with pytest.raises(Invalid, match="RUNSTEAD_DATABASE_URL=postgresql"):
            from_environment({}, **given)
    with pytest.raises(Invalid, match="between 1 and"):
        from_environment({**shared, "RUNSTEAD_PROCESSES": "0"})

    worker = from_environment(shared, role="worker")
    assert (worker.port, worker.works, worker.serves) == (0, True, False)
    assert from_environment({**shared, "RUNSTEAD_PORT": "8284"}, role="worker").port == 8284
    api = from_environment({**shared, "RUNSTEAD_ROLE": "api"})
    assert (api.port, api.works, api.serves) == (8283, False, True)
