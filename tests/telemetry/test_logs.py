"""Logs: what is written, for whom, and what never is."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from runstead.telemetry.logs import HIDDEN, Hiding, configure, log


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Configuration is the process's: leave it as it was."""
    root = logging.getLogger()
    before, config = list(root.handlers), structlog.get_config()
    yield
    structlog.configure(**config)
    root.handlers = before


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was logged as JSON."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_json_with_its_part_and_level(capsys: pytest.CaptureFixture[str]) -> None:
    """One line an event."""
    configure("INFO", as_json=True)
    log("engine").info("claimed", run_id="run-1", epoch=2)

    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "claimed", "part": "engine", "level": "info", "run_id": "run-1", "epoch": 2}


def test_what_is_bound_stands_on_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A run's id is bound once for all that happens in it."""
    configure("INFO", as_json=True)
    with structlog.contextvars.bound_contextvars(run_id="run-1"):
        log("loop").info("step")

    assert lines(capsys)[0]["run_id"] == "run-1"


def test_below_the_level_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """A quiet server is quiet."""
    configure("warning", as_json=True)
    log("loop").info("step")

    assert lines(capsys) == []


@pytest.mark.parametrize("name", ["api_key", "OPENAI_API_KEY", "Authorization", "server_password"])
def test_values_that_are_called_secret_are_hidden(name: str) -> None:
    """Whoever logs a secret by mistake logs an ellipsis."""
    assert Hiding()(None, "info", {"event": "x", name: "sk-1"}) == {"event": "x", name: HIDDEN}
    deep = {"event": "x", "of": [{name: "sk-1", "n": 1}]}
    assert Hiding()(None, "info", deep) == {"event": "x", "of": [{name: HIDDEN, "n": 1}]}


@pytest.mark.parametrize(
    "text",
    [
        "key sk-abcdef0123456789 refused",
        "key rs-abcdef0123456789 revoked",
        "Bearer canary-token-1 is unknown",
        "postgresql://runstead:hunter22@db/x is away",
        "the password is correct-horse!",
    ],
)
def test_what_looks_like_a_secret_or_is_known_as_one_is_hidden_wherever_it_stands(text: str) -> None:
    """In the text of an event, in any value, in an error."""
    hiding = Hiding(["correct-horse!", "x"])
    found = hiding(None, "info", {"event": text, "error": ValueError(text), "tries": 2})
    said = " ".join(map(str, found.values()))
    for secret in ("-abcdef", "canary", "hunter22", "correct-horse"):
        assert secret not in said
    assert HIDDEN in said
    assert found["tries"] == 2


def test_what_libraries_log_comes_out_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    """One line of JSON with the library's name, the run's id, and no secret; below a warning nothing."""
    configure("INFO", as_json=True, secrets=["known-to-be-one"])
    library = logging.getLogger("some.library")
    with structlog.contextvars.bound_contextvars(run_id="run-1"):
        library.info("chatter")
        library.warning("refused %s", "known-to-be-one")
        try:
            raise ValueError("with known-to-be-one in it")
        except ValueError:
            library.exception("broke")

    refused, broke = lines(capsys)
    assert (refused["event"], refused["part"], refused["run_id"]) == ("refused …", "some.library", "run-1")
    assert "ValueError: with … in it" in broke["exception"]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_no_variables(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """The error and where it was, without the values around it."""
    configure("INFO", as_json=as_json)
    hidden = "".join(["never", "-", "shown"])
    try:
        raise ValueError(len(hidden))
    except ValueError:
        log("loop").exception("failed")

    said = capsys.readouterr().err
    assert "ValueError: 11" in said
    assert "never-shown" not in said


def test_an_unknown_level_is_refused() -> None:
    """With the levels there are."""
    with pytest.raises(ValueError, match="use DEBUG, INFO, WARNING or ERROR"):
        configure("LOUD", as_json=True)
