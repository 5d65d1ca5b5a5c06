"""`GET /metrics`: every number is told, means what it says, and is asked for like everything else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.api.conftest import Serving
from tests.runs.line import Held, held, saying, sent
from tests.world import World, wait_until, world

from runstead.clock import ManualClock
from runstead.errors import ModelError, ModelErrorKind
from runstead.llm.scripted import Cue, ScriptedGateway, calls, says
from runstead.llm.types import ModelRequest
from runstead.settings import Secret, Settings
from runstead.telemetry.metrics import METRICS, MetricKind

Numbers = dict[tuple[str, str], float]


async def scraped(w: World) -> Numbers:
    """Every sample: by its name and its label's value."""
    answer = await w.client.get("/metrics")
    assert 200 == answer.status_code, answer.text
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_every_metric_is_told(tmp_path: Path) -> None:
    """Also by a server where nothing has happened; one that has series only for what happened has its help there."""
    async with world(tmp_path, ScriptedGateway()) as w:
        answer = await w.client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        for metric in METRICS:
            kind = {MetricKind.COUNTER: "counter", MetricKind.GAUGE: "gauge"}.get(metric.kind, "histogram")
            assert f"# TYPE {metric.name} {kind}" in answer.text
            assert f"# HELP {metric.name} {metric.help}" in answer.text
        numbers = await scraped(w)
        empty = {metric.name for metric in METRICS if not any(name == metric.name for name, _ in numbers)}
        assert {
            "runstead_model_errors_total",
            "runstead_tool_errors_total",
            *(metric.name for metric in METRICS if metric.kind is MetricKind.HISTOGRAM),
        } == empty
        assert 0 == numbers["runstead_tail_lag_seconds_count", ""]


async def test_lines_and_leases_are_counted(tmp_path: Path) -> None:
    """A holder, two who wait and how long, an open stream; and afterwards none of it."""
    clock, model = ManualClock(), Held()
    async with world(tmp_path, model.gateway, clock=clock) as w:
        agent = await w.agent()
        await held(w, model, agent)
        waiting = [await w.begin(agent, text) for text in "bc"]
        clock.advance(7)
        numbers = await scraped(w)
        assert (1, 2) == (
            numbers["runstead_runs_active", "running"],
            numbers["runstead_runs_active", "created"],
        )
        assert 2 == numbers["runstead_runs_waiting", ""]
        assert 7 == numbers["runstead_runs_waiting_oldest_seconds", ""]
        assert 1 == numbers["runstead_leases_held", ""]
        assert 0 < numbers["runstead_event_rows", "unpacked"] <= numbers["runstead_event_rows", "total"]
        assert numbers["runstead_event_bytes", "unpacked"] > 100
        assert numbers["runstead_log_size", "bytes"] > 100

        model.go.set()
        await w.ended(waiting[-1])
        await wait_until(lambda: w.server.engine.owner.held == 0, "the last lease's end")
        numbers = await scraped(w)
        assert (0, 0) == (
            numbers["runstead_runs_active", "running"],
            numbers["runstead_runs_active", "created"],
        )
        assert (0, 0) == (numbers["runstead_runs_waiting", ""], numbers["runstead_leases_held", ""])
        assert 3 == numbers["runstead_runs_finished_total", "completed"]
        assert 3 == numbers["runstead_time_to_first_token_seconds_count", ""]
        assert 3 == numbers["runstead_steps", ""]
        assert 6 <= numbers["runstead_messages", ""] <= 9, "those in line were written twice"


async def test_open_streams_are_counted(tmp_path: Path) -> None:
    """While a response follows a run, and no longer."""
    model = Held()
    async with world(tmp_path, model.gateway) as w:
        agent = await w.agent()
        meter = w.server.services.meter
        async with asyncio.TaskGroup() as group:
            streaming = group.create_task(sent(w, agent, saying("hold"), "/stream"))
            await wait_until(lambda: "hold" in model.asked, "the model being asked")
            assert 1 == (await scraped(w))["runstead_streams_open", ""]
            model.go.set()
        assert 200 == streaming.result().status_code
        assert 0 == meter.values()["runstead_streams_open"][""]


async def test_ends_and_failures_are_counted_by_kind(tmp_path: Path) -> None:
    """A model's failure by its type, a cancel, keys, callbacks that are due, and what a sweep deleted."""
    clock = ManualClock()
    failing = ModelError(ModelErrorKind.RATE_LIMIT, "slow down", retryable=False)

    def script(request: ModelRequest) -> Iterable[Cue]:
        text = request.messages[-1].text
        return [failing] if text == "fail" else says(text)

    settings = Settings(drain_s=0.0, reconcile_s=0.05, events_keep_s=60)
    async with world(tmp_path, ScriptedGateway(script), settings=settings, clock=clock) as w:
        agent = await w.agent()
        assert 429 == (await sent(w, agent, saying("fail"))).status_code
        await sent(w, agent, saying("one"), **{"idempotency-key": "k"})
        clock.advance(61)
        await w.server.retention.sweep()
        numbers = await scraped(w)
        assert 1 == numbers["runstead_model_errors_total", "llm_rate_limit"]
        assert (1, 1) == (
            numbers["runstead_runs_finished_total", "failed"],
            numbers["runstead_runs_finished_total", "completed"],
        )
        assert 1 == numbers["runstead_idempotency_keys", ""]
        assert 0 == numbers["runstead_outbox_due", ""]
        assert 2 == numbers["runstead_swept_runs_total", ""]
        assert 2 <= numbers["runstead_swept_rows_total", ""]
        assert numbers["runstead_store_bytes", ""] > 4096


async def test_tools_are_timed_and_their_failures_counted(tmp_path: Path) -> None:
    """Those that ship by their names; a name that is no tool's is nobody's series."""
    insert = {"label": "human", "new_string": "More."}
    turns: list[list[Cue]] = [
        calls(("memory_insert", orjson.dumps(insert).decode()), ("nonsense", "{}")),
        says("done"),
    ]
    async with world(tmp_path, ScriptedGateway(turns)) as w:
        agent = await w.agent(tools=["memory_insert"], include_base_tools=False)
        await w.stream(agent, "go")
        numbers = await scraped(w)
        assert 1 == numbers["runstead_tool_seconds_count", "memory_insert"]
        assert 1 == numbers["runstead_tool_seconds_count", "unknown"]
        assert 1 == numbers["runstead_tool_errors_total", "unknown"]
        assert ("runstead_tool_errors_total", "memory_insert") not in numbers
        assert 1 <= numbers["runstead_tail_lag_seconds_count", ""], "what is streamed is timed"


async def test_the_ages_of_the_queue_and_of_leases(tmp_path: Path) -> None:
    """What nobody works on, a lease that is over, and for how long."""
    clock, model = ManualClock(), Held()
    # Nobody looks for work while the clock is put forward: only then is there something to see.
    settings = Settings(drain_s=0.0, reconcile_s=3600, lease_s=3600)
    async with world(tmp_path, model.gateway, settings=settings, clock=clock) as w:
        agent = await w.agent()
        await held(w, model, agent)
        numbers = await scraped(w)
        assert (0, 0) == (numbers["runstead_runs_due", ""], numbers["runstead_leases_overdue", ""])
        clock.advance(3600 + 9)
        numbers = await scraped(w)
        assert (1, 9) == (
            numbers["runstead_leases_overdue", ""],
            numbers["runstead_leases_overdue_oldest_seconds", ""],
        )
        assert 1 == numbers["runstead_runs_due", ""]
        assert 3609 == numbers["runstead_runs_due_oldest_seconds", ""]
        assert 3609 == numbers["runstead_lease_age_seconds", ""]
        model.go.set()
        await wait_until(lambda: w.server.engine.owner.held == 0, "the last lease's end")
        assert 0 == (await scraped(w))["runstead_lease_age_seconds", ""]


async def test_numbers_need_a_key_where_all_else_does(serving: Serving) -> None:
    """The same rule as every other route."""
    async with serving(server_password=Secret("long-enough-to-be-one")) as api:
        assert 401 == (await api.client.get("/metrics")).status_code
        bearer = {"authorization": "Bearer long-enough-to-be-one"}
        assert 200 == (await api.client.get("/metrics", headers=bearer)).status_code


async def test_open_metrics_are_told_to_who_asks_for_them(tmp_path: Path) -> None:
    """The format is the caller's choice."""
    async with world(tmp_path, ScriptedGateway(lambda _: says("x"))) as w:
        answer = await w.client.get(
            "/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"}
        )
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n")


@pytest.mark.slow
def test_the_library_is_not_loaded_before_the_first_scrape() -> None:
    """A server's start does not pay for it."""
    told = "import sys, runstead.app; sys.exit('prometheus_client' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", told], check=False, timeout=120).returncode
