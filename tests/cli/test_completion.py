"""`runstead completion`: each script is accepted by its shell, and bash completes what can be typed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from runstead.cli import main
from runstead.cli.grammar.shell import SHELLS

pytestmark = pytest.mark.slow
SHELL_S = 60


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command writes."""
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", SHELLS)
def test_its_shell_accepts_it(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Parsed without a word; a shell that is not there is left out."""
    file = tmp_path / f"runstead.{shell}"
    file.write_text(script(shell, capsys))
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([program, "-n", file], capture_output=True, text=True, timeout=SHELL_S, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_it_knows_every_command_and_option(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In whatever tongue."""
    text = script(shell, capsys)
    assert all(
        word in text for word in ("runs", "watch", "approve", "stop-reason", "requires_approval", "vacuum")
    )


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("runstead runs w", ["watch"]),
        ("runstead runs list --status c", ["cancelled", "completed", "created"]),
        ("runstead runs list --st", ["--status", "--stop-reason"]),
        ("runstead completion z", ["zsh"]),
    ],
)
def test_fish_offers(typed: str, offered: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Commands, options, values."""
    asked = f"{script('fish', capsys)}\ncomplete -C {shlex.quote(typed)}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", asked], capture_output=True, text=True, timeout=SHELL_S, check=False
    )
    assert (sorted(line.split("\t")[0] for line in done.stdout.splitlines()), done.stderr) == (offered, "")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["runstead", "ru"], "runs"),
        (["runstead", "runs", "w"], "watch"),
        (["runstead", "runs", "list", "--st"], "--status --stop-reason"),
        (["runstead", "runs", "list", "--status", "c"], "created completed cancelled"),
        (["runstead", "runs", "list", "--json", "--li"], "--limit"),
        (["runstead", "completion", "z"], "zsh"),
        (["runstead", "agents", "delete", "x", "--y"], "--yes"),
        (["runstead", "serve", "--log-level", "W"], "WARNING"),
        (["runstead", "runs", "export", "run-1", "--out", "a-f"], "a-file"),
    ],
)
def test_bash_offers(
    typed: list[str], offered: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands, options, values, files."""
    (tmp_path / "a-file").touch()
    words = " ".join(map(shlex.quote, typed))
    asked = f'COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; _runstead; echo "${{COMPREPLY[*]}}"'
    done = subprocess.run(
        ["bash", "--norc", "-c", script("bash", capsys) + asked],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SHELL_S,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (offered, "")
