"""`runstead demo`: the main promise, as a user first sees it."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.cli.outcome import runstead
from tests.serving import story, tokens
from tests.story_model import StoryModel

pytestmark = pytest.mark.slow


@pytest.fixture
def model() -> Generator[StoryModel]:
    """A provider for the demonstration to find."""
    with StoryModel() as model:
        yield model


def test_without_a_provider_it_is_labelled_and_loses_nothing(tmp_path: Path) -> None:
    """Left in the middle, joined again, verified; plain text in a pipe."""
    shown = runstead(tmp_path, "demo", "Count to 40")

    assert shown.code == 0, shown
    assert "runstead/demo  (a demonstration that ships, no real model)" in shown.out
    assert re.search(r"connection closed after event (\d+).*starting_after=\1 ", shown.out, re.DOTALL)
    assert "none lost, none repeated" in shown.out
    assert "\x1b" not in shown.out
    assert not (tmp_path / ".runstead").exists()


def test_with_a_provider_its_model_answers(tmp_path: Path, model: StoryModel) -> None:
    """The first model that is no demonstration is taken."""
    shown = runstead(
        tmp_path,
        "demo",
        story({"text": tokens(30, 5)}),
        OPENAI_BASE_URL=model.url,
        OPENAI_API_KEY="not-a-secret",
    )

    assert shown.code == 0, shown
    assert "no real model" not in shown.out
    assert "none lost, none repeated" in shown.out


def test_a_model_that_is_not_there_is_no_success(tmp_path: Path) -> None:
    """The reason is shown, and the exit code is not 0."""
    shown = runstead(tmp_path, "demo", "hello", "--model", "nobody/nothing")

    assert shown.code != 0
    assert "nobody" in shown.out + shown.error
    assert "Traceback" not in shown.error
