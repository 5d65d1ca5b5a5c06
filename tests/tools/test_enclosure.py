"""What a fence's command line shows of the system, and what it hides."""

from __future__ import annotations

import struct
from pathlib import Path

from runstead.tools.enclosure import Fence, Interpreter, interpreter, node, program
from runstead.tools.sandboxed import MACHINES, rules_of


def test_a_data_folder_inside_of_what_is_shown_is_hidden(tmp_path: Path) -> None:
    """Wherever an operator puts it."""
    (tmp_path / "lib").mkdir()
    python = Interpreter(tmp_path / "bin" / "python", tmp_path, ())
    command = Fence(python, network=False, hidden=tmp_path / "lib" / "data").bubblewrap(9)
    hidden = command.index(str(tmp_path / "lib" / "data"))
    assert command[hidden - 1] == "--tmpfs"
    assert hidden > command.index(str(tmp_path / "lib"))
    outside = Fence(python, network=False, hidden=tmp_path / "data").bubblewrap(9)
    assert str(tmp_path / "data") not in outside


def test_the_network_is_there_only_where_it_is_wanted(tmp_path: Path) -> None:
    """With it come the files that names are resolved by."""
    python = interpreter("")
    closed = Fence(python, network=False, hidden=tmp_path).bubblewrap(9)
    opened = Fence(python, network=True, hidden=tmp_path).bubblewrap(9)
    assert "--unshare-net" in closed
    assert "/etc/resolv.conf" not in closed
    assert "--unshare-net" not in opened
    assert "/etc/resolv.conf" in opened


def test_libraries_are_named_one_by_one(tmp_path: Path) -> None:
    """The server's own packages are not shown, only those that user code may import."""
    packages = tmp_path / "packages"
    fence = Fence(interpreter(""), network=False, hidden=tmp_path, packages=packages)
    command = fence.bubblewrap(9)
    shown = {target for word, _, target in zip(command, command[1:], command[2:]) if word == "--ro-bind"}
    assert {"/run/runstead/lib/pydantic", "/run/runstead/packages", "/run/runstead/program.py"} <= shown
    assert not any(Path(target).name in {"runstead", "site-packages"} for target in shown)
    assert fence.paths(inside=False)[0] == str(packages)
    assert program().name == "sandboxed.py"
    assert node() is None or Path(str(node())).is_file()


def test_every_machines_filter_is_one_that_the_kernel_takes() -> None:
    """Jumps stay inside, it ends with a verdict, and sockets are refused unless there is a network."""
    for machine, (_, _, socket, _) in MACHINES.items():
        for network in (True, False):
            rules = rules_of(machine, network=network)
            assert all(len(struct.pack("HBBI", *rule)) == 8 for rule in rules)
            assert len(rules) < 4096
            assert rules[-1][0] == 0x06
            for at, (operation, if_so, if_not, _value) in enumerate(rules):
                assert operation == 0x06 or at + 1 + max(if_so, if_not) < len(rules)
            assert any(rule[0] == 0x15 and rule[3] == socket for rule in rules) is not network
