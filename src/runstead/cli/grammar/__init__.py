"""What can be typed: every command with its options, its manual and the module that does it. Does nothing itself."""

from __future__ import annotations

from runstead import __version__
from runstead.cli.grammar import agents, runs, server, shell, upkeep
from runstead.cli.grammar.manual import Commands, Manual


def parser() -> Manual:
    """The whole command line."""
    root = Manual(
        prog="runstead",
        description="A self-hosted server for AI agents' runs: serve it, watch it, steer it.",
        epilog="`runstead help COMMAND` is the manual of a command; `runstead completion SHELL` completes them.",
    )
    root.add_argument(
        "--version", action="version", version=f"runstead {__version__}", help="say the version"
    )
    commands = Commands(root, "command", "COMMAND")
    server.add(commands)
    runs.add(commands)
    agents.add(commands)
    upkeep.add(commands)
    shell.add(commands)
    return root
