"""How a conversation is to be summarised: what a client may say, and what counts where it says nothing of use."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.domain.test_run_machine import new_run
from tests.store.rows import agent

from runstead.domain.compaction import KEEP_SHARE, CompactionSettings, compaction_settings
from runstead.domain.run import RunRequest

STANDARD = CompactionSettings()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({}, STANDARD),
        ({"model": "a/m", "prompt": "Be brief."}, CompactionSettings("a/m", "Be brief.")),
        ({"model": "letta/auto"}, STANDARD),
        ({"mode": "self_compact_sliding_window", "model": "a/m"}, STANDARD),
        ({"mode": "self_compact_all"}, CompactionSettings(everything=True)),
        ({"mode": "all", "model": "a/m"}, CompactionSettings("a/m", everything=True)),
        ({"sliding_window_percentage": 0, "clip_chars": 9}, CompactionSettings(None, None, 0.0, False, 9)),
        # Kept by an older release, which looked at none of it.
        (
            {"model": 1, "prompt": " ", "sliding_window_percentage": 7, "clip_chars": True, "mode": []},
            STANDARD,
        ),
    ],
)
def test_what_is_given_counts(given: dict[str, object], meant: CompactionSettings) -> None:
    """An agent's settings, one by one; and a request's own stand in place of all of them."""
    kept = agent(extra={"compaction_settings": given})
    assert meant == compaction_settings(kept, new_run())

    own = replace(new_run(), request=RunRequest(compaction_settings=given))
    assert meant == compaction_settings(agent(extra={"compaction_settings": {"model": "b/m"}}), own)


def test_an_agent_says_nothing() -> None:
    assert KEEP_SHARE == compaction_settings(agent(), new_run()).keep_share
