"""The `runstead` command: reads what was typed and hands it to the module that does it. Nothing is done here.

A command's module is imported when the command is given, so that `serve` does not wait for what only `watch` needs. What
can be typed is `grammar`.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from runstead.cli.grammar import parser
from runstead.cli.spelling import spell
from runstead.errors import RunsteadError

CANNOT = 2
INTERRUPTED = 130
# What a shell says of a program that wrote to a pipe nobody reads: 128 + SIGPIPE.
UNREAD = 141


class Command(Protocol):
    """A command's module."""

    def run(self, given: Namespace) -> int:
        """Do it; gives the exit code."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; gives the exit code, whose meanings stand in the command's manual."""
    spell(sys.stdout, sys.stderr)
    given = parser().parse_args(argv)
    command = cast("Command", import_module(given.module))
    try:
        code = command.run(given)
        sys.stdout.flush()
    except RunsteadError as error:
        print(f"runstead: {error.detail}", file=sys.stderr)
        return CANNOT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # `| head` has seen enough. Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    return code
