"""The commands about the command line itself: help and completion."""

from __future__ import annotations

from runstead.cli.grammar.manual import Commands

SHELLS = ("bash", "zsh", "fish")


def add(commands: Commands) -> None:
    """Add them."""
    completion = commands.add(
        "completion",
        "runstead.cli.completion",
        "write a script that completes commands",
        "Write a script for your shell that completes commands, options and their values. It starts no process of its own.",
        examples=(
            'eval "$(runstead completion bash)"   # in ~/.bashrc',
            'eval "$(runstead completion zsh)"    # in ~/.zshrc, after compinit',
            "runstead completion fish > ~/.config/fish/completions/runstead.fish",
        ),
    )
    completion.add_argument("shell", choices=SHELLS, help="for which shell")
    told = commands.add(
        "help",
        "runstead.cli.help",
        "the manual of a command",
        "Show the manual of a command: what it does, its options, examples and exit codes.",
        examples=("runstead help", "runstead help runs watch"),
    )
    told.add_argument(
        "words", nargs="*", metavar="COMMAND", help="a command; without one, all of them are listed"
    )
    told.add_argument(
        "--markdown", action="store_true", help="write the manual of all commands as one Markdown page"
    )
