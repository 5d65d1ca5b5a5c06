"""`runstead help`: the manual of a command, or of all of them as a page of Markdown. Says what the grammar says."""

from __future__ import annotations

from argparse import Action, Namespace

from runstead.cli.grammar import parser
from runstead.cli.grammar.manual import Manual
from runstead.errors import NotFound

_INTRODUCTION = """# The command line

Made from the commands themselves by `runstead help --markdown`; a test holds it current.

`runstead COMMAND --help` and `runstead help COMMAND` show one command's part of this page. Commands that speak to a server
use its public API, on this machine or elsewhere: say where with `--url` or `RUNSTEAD_URL`, and give a key with
`RUNSTEAD_KEY` or `--key`. On a terminal there are colours, tables and progress; in a pipe there is plain text, and `--json`
is for programs. `NO_COLOR` is honoured. What a command has to say to a person goes to standard error, what it gives goes
to standard output.
"""


def run(given: Namespace) -> int:
    """Show it. Raises `NotFound` for no command."""
    root = parser()
    if given.markdown:
        print(page(root), end="")
        return 0
    print(_named(root, given.words).format_help(), end="")
    return 0


def page(root: Manual) -> str:
    """The manual of all commands as Markdown."""
    parts = [_INTRODUCTION, "| command | does |", "|---|---|"]
    parts += [f"| [`{each.prog}`](#{each.prog.replace(' ', '-')}) | {each.brief} |" for each in root.every()]
    parts += [_section(each) for each in root.every()]
    return "\n".join(parts) + "\n"


def usage(command: Manual) -> str:
    """A command with its arguments in one line, whatever the terminal's width."""
    words = [command.prog]
    words += [_optional(action) for action in command.arguments() if action.option_strings]
    words += [_positional(action) for action in command.arguments() if not action.option_strings]
    return " ".join(words)


def _named(root: Manual, words: list[str]) -> Manual:
    found = root
    for word in words:
        below = found.commands()
        if word not in below:
            known = ", ".join(below) or "none"
            raise NotFound(f"{found.prog} has no command {word!r}; those that it has: {known}.")
        found = below[word]
    return found


def _section(command: Manual) -> str:
    lines = [
        f"\n## {command.prog}\n",
        (command.description or "").strip(),
        "\n```text",
        usage(command),
        "```\n",
    ]
    if command.arguments():
        lines += ["| argument | meaning |", "|---|---|"]
        lines += [f"| {_name(action)} | {_meaning(action)} |" for action in command.arguments()]
        lines.append("")
    lines += ["```bash", *command.examples, "```\n", "| exit code | meaning |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in command.endings.items()]
    return "\n".join(lines)


def _name(action: Action) -> str:
    metavar = _metavar(action)
    if not action.option_strings:
        return f"`{metavar}`"
    return f"`{action.option_strings[-1]}{'' if action.nargs == 0 else ' ' + metavar}`"


def _meaning(action: Action) -> str:
    choices = "" if action.choices is None else f": {', '.join(f'`{choice}`' for choice in action.choices)}"
    return (action.help or "").replace("|", "\\|") + choices


def _optional(action: Action) -> str:
    return f"[{action.option_strings[-1]}{'' if action.nargs == 0 else ' ' + _metavar(action)}]"


def _positional(action: Action) -> str:
    metavar = _metavar(action)
    return {"+": f"{metavar}…", "*": f"[{metavar}…]", "?": f"[{metavar}]"}.get(str(action.nargs), metavar)


def _metavar(action: Action) -> str:
    return str(action.metavar or action.dest.upper())
