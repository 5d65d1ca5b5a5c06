"""Run the load harness against a fresh `runstead serve` and print its table beside the numbers to reach.

The harness (`bench.py` with its scripted model server) lies outside this repository: `--harness FOLDER` names it. It runs in
an environment of its own, so that its libraries and ours do not mix. Nothing here decides whether a number is good.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parents[1]
HARNESS = ROOT.parent / "shared" / "bench"
ENVIRONMENT = ROOT / ".cache" / "bench"
LIBRARIES = ("aiohttp", "uvloop", "orjson", "psutil")
SUITES = "cold,idle,load,after,disconnect,attach2,cancel,sigkill"

Results = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what is measured, what to reach, what the reference server needs, and where it stands."""

    name: str
    reach: str
    reference: str
    find: Callable[[Results], str]


def _p(summary: Results, *quantiles: str) -> str:
    return " / ".join(f"{summary[q]:.1f}" for q in quantiles)


def _at(path: str) -> Callable[[Results], str]:
    return lambda r: f"{r['runs'][path]['at_16']['per_second']:,.0f} /s"


ROWS = (
    Row("start to first 200", "1.5 s", "10.3 s", lambda r: f"{r['cold']['start_median_s']:.2f} s"),
    Row("idle memory (PSS)", "110 MB", "467 MB", lambda r: f"{r['idle']['server']['pss_mb']:.0f} MB"),
    Row(
        "blocking, overhead p50",
        "12 ms",
        "169 ms",
        lambda r: _p(r["blocking"]["overhead_first_200_ms"], "p50"),
    ),
    Row(
        "the same at message 200 / 500",
        "15 ms",
        "213 ms",
        lambda r: " / ".join(
            f"{r['blocking']['overhead_by_message_ms'][n]:.1f}"
            for n in ("200", "500")
            if n in r["blocking"]["overhead_by_message_ms"]
        ),
    ),
    Row(
        "server CPU a message",
        "10 ms",
        "147 ms",
        lambda r: f"{1000 * r['blocking']['cpu_s_per_message']:.1f}",
    ),
    Row(
        "foreground: first token, overhead p50",
        "10 ms",
        "97 ms",
        lambda r: _p(r["streaming"]["ttft_overhead_ms"], "p50"),
    ),
    Row(
        "background: first token, overhead p50",
        "12 ms",
        "195 ms",
        lambda r: _p(r["background"]["ttft_overhead_ms"], "p50"),
    ),
    Row(
        "tail lag a token, 1 run, p50 / p99",
        "2 / 10 ms",
        "291 / 576 ms",
        lambda r: _p(r["background"]["tail_lag_ms"]["attached"], "p50", "p99"),
    ),
    Row(
        "50 runs x 20 tokens/s: lag p50 / p99",
        "5 / 40 ms",
        "690 / 1500 ms",
        lambda r: _p(r["concurrency"]["50"]["lag_ms"], "p50", "p99"),
    ),
    Row(
        "200 runs x 20 tokens/s: lag p50 / p99",
        "40 / 150 ms",
        "8.1 / 15.1 s",
        lambda r: _p(r["concurrency"]["200"]["lag_ms"], "p50", "p99"),
    ),
    Row(
        "200 runs: first token p50",
        "500 ms",
        "15.1 s",
        lambda r: _p(r["concurrency"]["200"]["ttft_ms"], "p50"),
    ),
    Row(
        "replay of 2,000 tokens",
        "200,000 /s",
        "14,000 /s",
        lambda r: f"{r['background']['replay_2000']['events_per_s']:,.0f} /s",
    ),
    Row(
        "attach at event 1,999: first event",
        "5 ms",
        "58 ms",
        lambda r: f"{r['background']['replay_2000']['starting_after']['1999']['first_event_ms']:.1f}",
    ),
    Row("list 50 of 1,000 runs, 16 connections", "1,000 /s", "178 /s", _at("list_50")),
    Row("retrieve a run, 16 connections", "2,000 /s", "375 /s", _at("get")),
    Row("a run's messages", "1,000 /s", "119 /s", _at("messages")),
    Row("a run's steps", "1,000 /s", "216 /s", _at("steps")),
    Row("a run's usage", "1,000 /s", "216 /s", _at("usage")),
    Row(
        "cancel while the model is silent: upstream closed",
        "100 ms",
        "19 s",
        lambda r: f"{r['cancel']['while_model_silent']['llm_closed_after_ms']:.1f}",
    ),
    Row(
        "SIGKILL in mid-run, restart",
        "finished",
        "running for ever",
        lambda r: f"{r['sigkill']['status_30_s_later']['status']}",
    ),
)


def table(results: list[Results]) -> str:
    """The results as a Markdown table, a column a run of the harness."""
    head = ["", "reference", "to reach", *(f"run {n}" for n in range(1, len(results) + 1))]
    lines = [head, ["---"] * len(head)]
    lines += [[row.name, row.reference, row.reach, *(_found(row, r) for r in results)] for row in ROWS]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _found(row: Row, results: Results) -> str:
    try:
        return row.find(results)
    except (KeyError, TypeError):
        return "-"


def harness_python() -> Path:
    """The interpreter of the harness's own environment, made where it is missing."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *LIBRARIES], check=True)
    return python


def measure(harness: Path, only: str, more: list[str]) -> Results:
    """One run of the harness against a server with an empty data folder."""
    python = harness_python()
    with tempfile.TemporaryDirectory() as folder:
        serve = ["env", "OPENAI_BASE_URL=http://127.0.0.1:9100/v1", "OPENAI_API_KEY=bench"]
        serve += [sys.executable, "-m", "runstead", "serve", "--data-dir", f"{folder}/data"]
        out = Path(folder) / "results.json"
        command = [python, harness / "bench.py", "--start", shlex.join(serve), "--only", only]
        command += ["--label", "runstead", "--out", out, "--log", f"{folder}/server.log", *more]
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
        return cast("Results", json.loads(out.read_text()))


def main() -> None:
    """Measure as asked, print the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--harness", type=Path, default=HARNESS, help="folder with bench.py")
    parser.add_argument("--only", default=SUITES, help="suites, by comma; see the harness's README")
    parser.add_argument("--runs", type=int, default=1, help="how often; take the median of three")
    parser.add_argument(
        "--results", type=Path, nargs="*", help="print results kept as JSON instead of measuring"
    )
    arguments, more = parser.parse_known_args()
    if arguments.results:
        results = [cast("Results", json.loads(path.read_text())) for path in arguments.results]
    else:
        results = [measure(arguments.harness, arguments.only, more) for _ in range(arguments.runs)]
    sys.stdout.write(table(results) + "\n")


if __name__ == "__main__":
    main()
