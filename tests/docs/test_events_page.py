"""docs/events.md says every event that the server can write, and each member of it."""

from __future__ import annotations

from typing import get_args

import pytest
from website.event_words import BASE, MEMBERS, STOP_REASONS
from website.events_page import SAMPLES, Sample, page, spelled
from website.site import DOCS

from runstead.api.wire.events import MESSAGE_TYPES
from runstead.domain.event import RunEvent
from runstead.domain.run import StopReason


def test_every_event_is_there() -> None:
    """Each class of the union, and each message type on the wire."""
    kinds = {str(spelled(sample.event)["message_type"]) for sample in SAMPLES}

    assert {type(sample.event) for sample in SAMPLES} == set(get_args(RunEvent))
    assert kinds == {*MESSAGE_TYPES, "ping", "stop_reason", "usage_statistics", "error_message"}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample.event).__name__)
def test_every_member_has_words(sample: Sample) -> None:
    """A member without any is said here by its name; write it into website/event_words.py."""
    assert sorted(set(spelled(sample.event)) - {*BASE, *MEMBERS}) == []


def test_no_words_are_left_over() -> None:
    """A member that is gone is gone from the page."""
    members = {name for sample in SAMPLES for name in spelled(sample.event)}
    assert sorted({*BASE, *MEMBERS} - members) == []


def test_every_stop_reason_is_there() -> None:
    """With what it means."""
    assert set(STOP_REASONS) == {reason.value for reason in StopReason}


def test_the_page_is_current() -> None:
    """Made by `python -m website.events_page > docs/events.md`."""
    written = (DOCS / "events.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m website.events_page > docs/events.md"
