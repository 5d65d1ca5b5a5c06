"""What every test gets: an event loop as the server has it, and a look afterwards for what was left running.

Async tests are plain `async def test_…`: anyio's plugin runs them on asyncio with uvloop, without a marker. No fixture here
builds anything of the product.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog
from tests.services import (
    pgvector_server,
    postgres_server,
    postgres_store_url,
    postgres_tables,
    postgres_url,
    redis_server,
)

# The services that a test may ask for.
__all__ = [
    "pgvector_server",
    "postgres_server",
    "postgres_store_url",
    "postgres_tables",
    "postgres_url",
    "redis_server",
]

# How long an example takes is the machine's business; tests of time are benchmarks.
hypothesis.settings.register_profile(
    "runstead", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("runstead")

# Plain, as the server writes them: drawn with the values of all variables, tracebacks took a seventh of the time.
_PLAIN = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _PLAIN])

OURS = "runstead-"
SERVICES = frozenset({"postgres_server", "redis_server"})
# Tests of the whole: suites that run a seam's every implementation, processes that die, clients that are installed.
WHOLE = frozenset({"compat", "conformance", "e2e", "fault", "fuzz", "migration", "property"})
ENDING_S = 20.0
LOOK_S = 0.005
SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The inner loop does not even import them: half of its time would be spent on libraries that only they use."""
    inner = "not slow" in (config.getoption("markexpr") or "")
    return True if inner and collection_path.name in WHOLE and collection_path.is_dir() else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What needs a service of its own, or looks at the whole, is not in the inner loop.

    What runs a whole server in this process is in it where it is named (`scripts/test --fast tests/loop`).
    """
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    for item in items:
        if (
            item.path.parent.name in WHOLE
            or (not named and _runs_a_server(item))
            or SERVICES.intersection(getattr(item, "fixturenames", ()))
            or _on_a_service(item)
        ):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """What was loaded stays: the collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


def _runs_a_server(item: pytest.Item) -> bool:
    """Whether its file has the in-process server of `tests/world.py`; the tutorial, which shows the whole, is quick."""
    world = getattr(getattr(item, "module", None), "world", None)
    return item.path.parent.name != "fundamentals" and getattr(world, "__module__", "") == "tests.world"


def _on_a_service(item: pytest.Item) -> bool:
    """Whether its parameters name a service: then its fixtures ask for one only when it runs."""
    called = getattr(item, "callspec", None)
    return called is not None and any(value in ("postgres", "redis") for value in called.params.values())


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Uvloop under asyncio, as in the server."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def shared_facts() -> Path:
    """The folder of facts about the API beside the checkout. Its absence skips a test, but fails it in the build."""
    if not SHARED.is_dir():
        reason = f"the facts about the API are not at {SHARED}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return SHARED


@pytest.fixture(autouse=True)
def nothing_left_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """No thread of ours and no task outlives its test."""
    before = set(threading.enumerate())
    if "anyio_backend" in request.fixturenames:
        request.getfixturevalue("no_task_left")
    yield
    deadline = time.monotonic() + ENDING_S
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith(OURS):
            thread.join(max(0.0, deadline - time.monotonic()))
            assert not thread.is_alive(), f"the thread {thread.name} is left: close what started it"


@pytest.fixture
async def no_task_left() -> AsyncIterator[None]:
    """Every task that the test and its fixtures started has ended."""
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before if not _of_the_runner(task)}
    if left:
        _done, left = await asyncio.wait(left, timeout=ENDING_S)
    assert not left, f"tasks are left, and nobody waits for them: {[task.get_coro() for task in left]}"


def _of_the_runner(task: asyncio.Task[object]) -> bool:
    """Whether it is the task in which anyio's plugin runs this very fixture."""
    return getattr(task.get_coro(), "__qualname__", "").startswith("TestRunner.")
