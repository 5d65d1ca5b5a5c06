"""A parser whose help is a manual page: what a command does, its options, examples, and how it ends. Imports argparse only.

Whatever is said of a command stands in its parser: `--help`, `runstead help`, docs/cli.md and the completion scripts are all
read from there.
"""

from __future__ import annotations

import textwrap
from argparse import (
    SUPPRESS,
    Action,
    ArgumentParser,
    HelpFormatter,
    RawDescriptionHelpFormatter,
    _SubParsersAction,
)
from collections.abc import Mapping, Sequence
from pathlib import Path

WIDTH = 90
DONE = "done"
ENDINGS: Mapping[int, str] = {
    0: DONE,
    1: "it ended, but not as wished: what failed is said",
    2: "it cannot be done, and why is said on standard error",
    130: "you pressed Ctrl-C",
}
# How a run's end is told by an exit code.
OUTCOMES: Mapping[int, str] = {
    0: "the run completed",
    1: "the run failed",
    2: "the run cannot be followed, and why is said on standard error",
    3: "the run was cancelled",
    4: "the run waits for an approval",
    130: "you left with Ctrl-C; the run goes on",
}


class Manual(ArgumentParser):
    """One command, or a group of them."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, formatter_class=_page, **options)  # type: ignore[arg-type]
        self.brief = ""
        self.examples: tuple[str, ...] = ()
        self.endings: Mapping[int, str] = {}

    def arguments(self) -> list[Action]:
        """What can be given, help left out."""
        return [a for a in self._actions if a.dest != "help" and a.help != SUPPRESS and not _is_group(a)]

    def commands(self) -> dict[str, Manual]:
        """The commands below this one, in their order."""
        found: dict[str, Manual] = {}
        for action in self._actions:
            if isinstance(action, _SubParsersAction):
                found |= action.choices
        return found

    def every(self) -> list[Manual]:
        """All commands that do something, from here on."""
        below = self.commands()
        return [each for sub in below.values() for each in sub.every()] if below else [self]


def _is_group(action: Action) -> bool:
    return isinstance(action, _SubParsersAction)


def _page(prog: str) -> HelpFormatter:
    return RawDescriptionHelpFormatter(prog, max_help_position=26, width=WIDTH)


class Commands:
    """The commands below a parser, to be added one by one."""

    def __init__(self, parent: Manual, dest: str, metavar: str) -> None:
        self._made = parent.add_subparsers(dest=dest, required=True, metavar=metavar, parser_class=Manual)

    def add(
        self,
        name: str,
        module: str,
        brief: str,
        text: str,
        *,
        examples: Sequence[str],
        endings: Mapping[int, str] = ENDINGS,
    ) -> Manual:
        """A command. `module` does it; `brief` is its line in lists, `text` its description."""
        made = self._made.add_parser(
            name, help=brief, description=_wrapped(text), epilog=_after(examples, endings)
        )
        made.brief, made.examples, made.endings = brief, tuple(examples), endings
        made.set_defaults(module=module)
        return made

    def group(self, name: str, brief: str, text: str) -> Commands:
        """A command that has commands."""
        made = self._made.add_parser(name, help=brief, description=_wrapped(text))
        made.brief = brief
        return Commands(made, "action", "ACTION")


def to_server(parser: Manual) -> None:
    """The options of a command that speaks to a server."""
    server = parser.add_argument_group("server")
    server.add_argument(
        "--url",
        help="base URL of the server (RUNSTEAD_URL, else LETTA_BASE_URL; default http://127.0.0.1:8283)",
    )
    server.add_argument(
        "--key",
        help="API key or password (RUNSTEAD_KEY, else LETTA_API_KEY; default none). Other users of this machine"
        " can see what is typed here: prefer the environment",
    )


def as_json(parser: Manual, what: str) -> None:
    """The option `--json`."""
    parser.add_argument("--json", action="store_true", help=f"write {what}, for programs")


def in_folder(parser: Manual) -> None:
    """The option of a command that works on the data folder itself."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="folder of the data (RUNSTEAD_DATA_DIR; default ~/.runstead)",
    )


def _wrapped(text: str) -> str:
    """Paragraphs, each wrapped."""
    return "\n\n".join(textwrap.fill(" ".join(part.split()), WIDTH) for part in text.split("\n\n"))


def _after(examples: Sequence[str], endings: Mapping[int, str]) -> str:
    shown = "\n".join(f"  {example}" for example in examples)
    codes = "\n".join(f"  {code:<4}{meaning}" for code, meaning in endings.items())
    return f"examples:\n{shown}\n\nexit codes:\n{codes}"
