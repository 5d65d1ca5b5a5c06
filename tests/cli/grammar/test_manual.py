"""The manual of every command: nothing that can be typed is left unsaid, and docs/cli.md is what the commands say."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from runstead.cli import main
from runstead.cli.grammar import parser
from runstead.cli.grammar.manual import Manual
from runstead.cli.help import page

EVERY = {command.prog: command for command in parser().every()}
DOCS = Path(__file__).resolve().parents[3] / "docs" / "cli.md"


@pytest.fixture(params=sorted(EVERY))
def command(request: pytest.FixtureRequest) -> Manual:
    """Each command in turn."""
    return EVERY[request.param]


def test_its_help_names_everything(command: Manual) -> None:
    """What it does, every argument with its meaning, examples and exit codes."""
    text = command.format_help()

    assert len(command.description or "") > 30
    assert command.brief
    for action in command.arguments():
        assert (action.help or "").strip(), f"{command.prog} {action.dest} says nothing"
        for name in action.option_strings or [str(action.metavar or action.dest)]:
            assert name in text
    assert command.examples
    assert all(command.prog in example for example in command.examples)
    assert all(f"\n  {code} " in text for code in command.endings)


def test_its_options_name_their_variables(command: Manual) -> None:
    """Whatever the environment can say too."""
    variables = {"--url": "RUNSTEAD_URL", "--key": "RUNSTEAD_KEY", "--data-dir": "RUNSTEAD_DATA_DIR"}
    for action in command.arguments():
        for option in set(action.option_strings) & set(variables):
            if command.prog != "runstead demo":
                assert variables[option] in (action.help or "")


def test_its_module_does_it(command: Manual) -> None:
    """A module with `run`."""
    assert callable(import_module(command.get_default("module")).run)


def test_the_whole_is_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    """`runstead help` lists all, `runstead help runs watch` is what `--help` shows."""
    assert main(["help"]) == 0
    assert all(name.split()[1] in capsys.readouterr().out for name in [*EVERY][:1])
    assert main(["help", "runs", "watch"]) == 0
    told = capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["runs", "watch", "--help"])
    assert (ended.value.code, capsys.readouterr().out) == (0, told)


def test_no_such_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that there are, are named."""
    assert main(["help", "runs", "fly"]) == 2
    assert "list, show, watch" in capsys.readouterr().err


def test_the_page_is_current() -> None:
    """Made by `runstead help --markdown > docs/cli.md`."""
    assert DOCS.read_text(encoding="utf-8") == page(parser()), "run: runstead help --markdown > docs/cli.md"
