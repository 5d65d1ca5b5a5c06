"""Signs that a stream cannot say are spelled; JSON stays JSON, and no command ends because of them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from runstead.cli.spelling import spell, spelled


def test_json_stays_json_in_every_encoding() -> None:
    """Also signs that JSON spells as two."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    spell(stream)

    stream.write(json.dumps({"name": "客服 🤖 …"}, ensure_ascii=False))
    stream.flush()

    assert json.loads(raw.getvalue().decode("ascii")) == {"name": "客服 🤖 …"}


def test_only_what_is_written_is_spelled() -> None:
    """What cannot be read is another fault."""
    with pytest.raises(UnicodeDecodeError):
        spelled(UnicodeDecodeError("ascii", b"\xff", 0, 1, "no"))


@pytest.mark.slow
def test_the_manual_is_shown_where_the_language_is_c() -> None:
    """Its ellipses and names are no reason to fail."""
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "runstead", "runs", "export", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "export" in done.stdout
