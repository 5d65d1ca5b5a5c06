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
