"""What a call wrote: counted to the limit, whatever its shape, and removed whatever its depth."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from runstead.tools import litter


def test_names_and_bytes_are_counted(tmp_path: Path) -> None:
    """Links are not followed."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(bytes(8192))
    (tmp_path / "link").symlink_to("/usr")
    assert not litter.more_than(str(tmp_path), 1 << 20, 4)
    assert litter.more_than(str(tmp_path), 1 << 20, 3)
    assert litter.more_than(str(tmp_path), 4096, 100)
    assert not litter.more_than(str(tmp_path / "nowhere"), 0, 0)


def test_what_is_deleted_and_open_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litter, "WRITTEN_BYTES_MAX", 64 * 1024)
    home = tmp_path / "home"
    home.mkdir()
    assert not litter.too_much(str(home), None, [os.getpid()])
    with (home / "file").open("wb") as file:
        (home / "file").unlink()
        file.write(bytes(256 * 1024))
        file.flush()
        assert litter.too_much(str(home), None, [os.getpid()])
    assert not litter.too_much(str(home), None, [os.getpid()])


@pytest.mark.slow
def test_a_folder_without_a_bottom_is_too_much_and_goes(tmp_path: Path) -> None:
    """Deeper than a path can say, and shut on the way."""
    home = tmp_path / "home"
    home.mkdir()
    deep = "import os\nfor n in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\nos.chmod('.', 0)"
    subprocess.run(["/usr/bin/env", "python3", "-c", deep], cwd=home, check=True)
    assert litter.more_than(str(home), 1 << 40, 1 << 40)
    litter.clear(str(home), None)
    assert not home.exists()


def test_processes_without_a_name_space_have_no_room_of_their_own() -> None:
    assert not litter.too_many_inside([os.getpid(), 2**22 + 1])
