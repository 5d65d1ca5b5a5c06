"""The `runstead` command: what can be typed, and which file does it. Nothing is done here.

A command's file is imported when the command is given, so that `serve` does not wait for what only `demo` needs.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from runstead import __version__
from runstead.errors import RunsteadError
from runstead.settings import CHOICES

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
CANNOT = 2
INTERRUPTED = 130


class Command(Protocol):
    """A command's file."""

    def run(self, given: Namespace) -> int:
        """Do it; gives the exit code."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; gives the exit code: 0 done, 1 not as promised, 2 cannot be done (and why)."""
    given = parser().parse_args(argv)
    command = cast("Command", import_module(f"runstead.cli.{given.command}"))
    try:
        return command.run(given)
    except RunsteadError as error:
        print(f"runstead: {error.detail}", file=sys.stderr)
        return CANNOT
    except KeyboardInterrupt:
        return INTERRUPTED


def parser() -> ArgumentParser:
    """Every command with its options."""
    root = ArgumentParser(prog="runstead", description="A self-hosted server for AI agents' runs.")
    root.add_argument("--version", action="version", version=f"runstead {__version__}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve the API until SIGTERM or Ctrl-C")
    serve.add_argument("--host", help="address to listen on (RUNSTEAD_HOST; default 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port; 0 takes a free one (RUNSTEAD_PORT; default 8283)")
    _add_data_dir(serve)
    serve.add_argument(
        "--role",
        choices=CHOICES["RUNSTEAD_ROLE"],
        help="serve the API, work on runs, or both (RUNSTEAD_ROLE; default all); for processes that share a PostgreSQL",
    )
    serve.add_argument(
        "--processes",
        type=int,
        help="so many processes on one port (RUNSTEAD_PROCESSES; default 1); on PostgreSQL",
    )
    serve.add_argument(
        "--log-level", choices=LOG_LEVELS, type=str.upper, help="(RUNSTEAD_LOG_LEVEL; default WARNING)"
    )

    demo = commands.add_parser("demo", help="send one message, lose the connection, lose nothing")
    demo.add_argument("message", nargs="?", help="what to say to the agent")
    demo.add_argument(
        "--model", help="a model's handle (default: the first real one there is, else runstead/demo)"
    )
    demo.add_argument(
        "--data-dir", type=Path, help="keep the demonstration's data there (default: a temporary folder)"
    )

    keys = commands.add_parser("keys", help="make, list and revoke API keys")
    actions = keys.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a key; it is shown once")
    create.add_argument("name", help="what the key is for")
    create.add_argument("--user", help="id of the user that it acts as (default: the default user)")
    create.add_argument("--admin", action="store_true", help="let it act for others and administer")
    listing = actions.add_parser("list", help="list the keys, revoked ones too")
    revoke = actions.add_parser("revoke", help="end a key for good")
    revoke.add_argument("key_id", help="the key's id, as `keys list` shows it")
    for action in (create, listing, revoke):
        _add_data_dir(action)

    commands.add_parser("version", help="say the versions of what runs")
    openapi = commands.add_parser("openapi", help="write the API's OpenAPI document")
    openapi.add_argument("--out", type=Path, help="write it to this file (default: standard output)")
    return root


def _add_data_dir(to: ArgumentParser) -> None:
    to.add_argument(
        "--data-dir", type=Path, help="folder of the data (RUNSTEAD_DATA_DIR; default ~/.runstead)"
    )
