"""What a caller's trace header may be, and that a server without traces pays nothing for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from runstead.settings import from_environment
from runstead.telemetry.traces import traceparent_of

PLACE = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ("00-" + PLACE, "00-" + PLACE),
        (f" 00-{PLACE} ", "00-" + PLACE),
        (f"01-{PLACE}-what-a-later-version-adds", "00-" + PLACE),
        ("ff-" + PLACE, None),
        ("00-" + PLACE.upper(), None),
        ("00-" + "0" * 32 + "-b7ad6b7169203331-01", None),
        ("00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01", None),
        ("nonsense", None),
        ("", None),
        (None, None),
    ],
)
def test_a_place_in_a_trace(header: str | None, kept: str | None) -> None:
    """As W3C Trace Context writes it; what cannot be read is left aside."""
    assert traceparent_of(header) == kept


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "RUNSTEAD_TRACES": "0"}, False),
        ({"RUNSTEAD_TRACES": "1"}, True),
    ],
)
def test_traces_are_on_where_they_have_somewhere_to_go(environ: dict[str, str], wanted: bool) -> None:
    """By OpenTelemetry's own variables, or by ours, which comes first."""
    assert from_environment(environ).traces is wanted


_SERVER = """
import asyncio, sys, tempfile
from dataclasses import replace
from pathlib import Path
from runstead.app import build, running
from runstead.settings import from_environment
from runstead.store.migrate import migrate

async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(from_environment({}), data_dir=Path(folder))
        await asyncio.to_thread(migrate, settings.database)
        async with running(build(settings)):
            pass

asyncio.run(main())
heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "google.protobuf")
loaded = [name for name in sys.modules if name.startswith(heavy)]
sys.exit(str(loaded) if loaded else 0)
"""


@pytest.mark.slow
def test_a_server_without_traces_does_not_load_the_sdk() -> None:
    """Neither at its start nor at its end, docket's own tracing included."""
    ended = subprocess.run([sys.executable, "-c", _SERVER], check=False, timeout=120, capture_output=True)
    assert ended.returncode == 0, ended.stderr.decode()
