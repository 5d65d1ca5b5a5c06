"""The commands of a server: serve, demo, openapi, dashboard, version."""

from __future__ import annotations

from pathlib import Path

from runstead.cli.grammar.manual import ENDINGS, Commands, as_json, in_folder
from runstead.settings import CHOICES

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def add(commands: Commands) -> None:
    """Add them."""
    _serve(commands)
    _demo(commands)
    document = commands.add(
        "openapi",
        "runstead.cli.openapi",
        "write the API's OpenAPI document",
        "Write the OpenAPI document of the API as JSON, as GET /openapi.json answers it. Starts no server.",
        examples=("runstead openapi --out openapi.json",),
    )
    document.add_argument(
        "--out", type=Path, metavar="FILE", help="write it to this file (default: standard output)"
    )
    drawn = commands.add(
        "dashboard",
        "runstead.cli.dashboard",
        "write a dashboard for Grafana",
        "Write a dashboard over the numbers of GET /metrics as JSON, for Grafana's import. Starts no server.",
        examples=("runstead dashboard --out grafana.json",),
    )
    drawn.add_argument(
        "--out", type=Path, metavar="FILE", help="write it to this file (default: standard output)"
    )
    version = commands.add(
        "version",
        "runstead.cli.version",
        "say the versions of what runs",
        "Say the versions that a report of a fault should name: Runstead, Python, SQLite.",
        examples=("runstead version", "runstead version --json | jq -r .runstead"),
    )
    as_json(version, "them as JSON")


def _serve(commands: Commands) -> None:
    serve = commands.add(
        "serve",
        "runstead.cli.serve",
        "serve the API until SIGTERM or Ctrl-C",
        """Serve the API over one data folder until SIGTERM or Ctrl-C; running runs then get a moment to end, and what
        does not end is taken up at the next start. On any but a loopback address it wants a key or a password.

        Every other setting is an environment variable, RUNSTEAD_*.""",
        examples=(
            "runstead serve",
            "runstead serve --port 0 --data-dir ./data",
            "OPENAI_API_KEY=… runstead serve --log-level INFO",
            "RUNSTEAD_DATABASE_URL=postgresql://… RUNSTEAD_REDIS_URL=redis://… runstead serve --processes 4",
        ),
        endings={0: "stopped in order", 2: ENDINGS[2]},
    )
    serve.add_argument("--host", help="address to listen on (RUNSTEAD_HOST; default 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port; 0 takes a free one (RUNSTEAD_PORT; default 8283)")
    in_folder(serve)
    serve.add_argument(
        "--role",
        choices=CHOICES["RUNSTEAD_ROLE"],
        help="serve the API, work on runs, or both (RUNSTEAD_ROLE; default all); for processes that share a PostgreSQL",
    )
    serve.add_argument(
        "--processes",
        type=int,
        metavar="N",
        help="so many processes on one port (RUNSTEAD_PROCESSES; default 1); on PostgreSQL",
    )
    serve.add_argument(
        "--log-level",
        choices=LOG_LEVELS,
        type=str.upper,
        help="how much is logged to standard error (RUNSTEAD_LOG_LEVEL; default WARNING)",
    )


def _demo(commands: Commands) -> None:
    demo = commands.add(
        "demo",
        "runstead.cli.demo",
        "send one message, lose the connection, lose nothing",
        """Start a server, make an agent, send it a message, close the connection in the middle of the answer, come back
        and check that every event came exactly once. With a provider's key or base URL in the environment a real model
        answers, else a demonstration that needs no network.""",
        examples=('runstead demo "Tell me about durable runs"', "runstead demo --model openai/gpt-5-mini"),
        endings={0: "nothing was lost or repeated", 1: "something was, and what is said", 2: ENDINGS[2]},
    )
    demo.add_argument("message", nargs="?", help="what to say to the agent")
    demo.add_argument(
        "--model", help="a model's handle (default: the first real one there is, else runstead/demo)"
    )
    demo.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="keep the demonstration's data there (default: a temporary folder)",
    )
