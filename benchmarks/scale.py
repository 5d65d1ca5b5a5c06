"""How the same load goes over one, two and four processes on PostgreSQL and Redis, and over one on SQLite: a table.

Starts a PostgreSQL that syncs its commits and a Redis of its own, then the load harness (see `benchmarks/__main__.py`)
against `runstead serve --processes N`. Lag is per token, from the model's socket to the client's; CPU is that of the
server's processes, that of PostgreSQL and of Redis apart. Decides nothing.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from tests.services import PostgresServer, RedisServer

from benchmarks.__main__ import HARNESS, Results, harness_python

PORT = 8283
SUITES = "blocking,background,concurrency,runs"
TOKENS_PER_RUN = 50


@contextmanager
def shared_place() -> Generator[tuple[dict[str, str], list[str]]]:
    """The environment of processes that share a PostgreSQL and a Redis, and what the harness must know of those."""
    with (
        PostgresServer(durable=True) as postgres,
        RedisServer() as redis,
        tempfile.TemporaryDirectory() as pids,
    ):
        known: list[str] = []
        for service in (postgres, redis):
            path = Path(pids) / service.name
            path.write_text(str(service.pid))
            known += ["--aux", f"{service.name}={path}"]
        yield {"RUNSTEAD_DATABASE_URL": postgres.new_database(), "RUNSTEAD_REDIS_URL": redis.url}, known


def measure(harness: Path, processes: int, concurrency: str, only: str) -> Results:
    """One run of the harness; `processes` 0 is one process on SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        if not processes:
            return _measured(
                harness, folder, {"RUNSTEAD_DATA_DIR": f"{folder}/data"}, [], 1, concurrency, only
            )
        with shared_place() as (environment, known):
            environment["HOME"] = folder
            return _measured(harness, folder, environment, known, processes, concurrency, only)


def _measured(
    harness: Path,
    folder: str,
    environment: dict[str, str],
    known: list[str],
    processes: int,
    concurrency: str,
    only: str,
) -> Results:
    settings = {**environment, "OPENAI_BASE_URL": "http://127.0.0.1:9100/v1", "OPENAI_API_KEY": "bench"}
    serve = ["env", *(f"{name}={value}" for name, value in settings.items())]
    serve += [sys.executable, "-m", "runstead", "serve", "--port", str(PORT), "--processes", str(processes)]
    out = Path(folder) / "results.json"
    command = [harness_python(), harness / "bench.py", "--start", shlex.join(serve), "--only", only]
    command += [
        "--concurrency",
        concurrency,
        "--history",
        "60",
        "--out",
        out,
        "--log",
        f"{folder}/log",
        *known,
    ]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return cast("Results", json.loads(out.read_text()))


def _concurrent(count: str, what: str, *quantiles: str) -> Callable[[Results], str]:
    return lambda r: " / ".join(f"{r['concurrency'][count][what][q]:.1f}" for q in quantiles)


def _cpu_per_token_us(count: str, of: str) -> Callable[[Results], str]:
    def find(results: Results) -> str:
        used: Any = results["concurrency"][count]["cpu_s"]
        return f"{1e6 * float(used[of]) / (int(count) * TOKENS_PER_RUN):.0f}"

    return find


def _wall(count: str) -> Callable[[Results], str]:
    return lambda r: f"{r['concurrency'][count]['wall_s']:.1f}"


def rows(counts: list[str]) -> list[tuple[str, Callable[[Results], str]]]:
    """What the table shows."""
    found: list[tuple[str, Callable[[Results], str]]] = [
        ("blocking, overhead p50, ms", lambda r: f"{r['blocking']['overhead_first_200_ms']['p50']:.1f}"),
        ("server CPU a message, ms", lambda r: f"{1000 * r['blocking']['cpu_s_per_message']:.1f}"),
        (
            "background: first token, overhead p50, ms",
            lambda r: f"{r['background']['ttft_overhead_ms']['p50']:.1f}",
        ),
        ("retrieve a run, 16 connections, /s", lambda r: f"{r['runs']['get']['at_16']['per_second']:,.0f}"),
        ("list 50 runs, 16 connections, /s", lambda r: f"{r['runs']['list_50']['at_16']['per_second']:,.0f}"),
    ]
    for count in counts:
        found += [
            (f"{count} runs: first token p50, ms", _concurrent(count, "ttft_ms", "p50")),
            (f"{count} runs: lag p50 / p99, ms", _concurrent(count, "lag_ms", "p50", "p99")),
            (f"{count} runs: all done after, s (ideal 2.45)", _wall(count)),
            (f"{count} runs: server CPU a token, µs", _cpu_per_token_us(count, "server")),
            (f"{count} runs: PostgreSQL CPU a token, µs", _cpu_per_token_us(count, "postgres")),
            (f"{count} runs: Redis CPU a token, µs", _cpu_per_token_us(count, "redis")),
        ]
    return found


def table(results: dict[str, Results], counts: list[str]) -> str:
    """A column a set-up."""
    lines = [["", *results], ["---"] * (len(results) + 1)]
    lines += [[name, *(_found(find, each) for each in results.values())] for name, find in rows(counts)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _found(find: Callable[[Results], str], results: Results) -> str:
    try:
        return find(results)
    except (KeyError, TypeError, ValueError):
        return "-"


def main() -> None:
    """Measure as asked, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--harness", type=Path, default=HARNESS)
    parser.add_argument("--processes", default="0,1,2,4", help="0 is one process on SQLite")
    parser.add_argument("--concurrency", default="50,200")
    parser.add_argument("--only", default=SUITES)
    parser.add_argument("--keep", type=Path, help="write the results there, as JSON")
    given = parser.parse_args()
    results: dict[str, Results] = {}
    for processes in map(int, given.processes.split(",")):
        name = f"{processes} on PostgreSQL" if processes else "1 on SQLite"
        results[name] = measure(given.harness, processes, given.concurrency, given.only)
        if given.keep:
            given.keep.write_text(json.dumps(results))
    sys.stdout.write(table(results, given.concurrency.split(",")) + "\n")


if __name__ == "__main__":
    main()
