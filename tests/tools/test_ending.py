"""Ending what was started: the leader, its group, and who left the group."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.processes import lives
from tests.serving import until

from runstead.tools.ending import end

pytestmark = pytest.mark.slow
# A child in the group and one in a session of its own; then all of them wait.
FAMILY = """
import os, signal, sys
for leaves in (False, True):
    if os.fork() == 0:
        if leaves: os.setsid()
        os.write(1, b"%d\\n" % os.getpid())  # in one piece: two processes write
        signal.pause()
signal.pause()
"""


def test_nothing_of_it_goes_on() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, start_new_session=True, text=True
    ) as leader:
        assert leader.stdout is not None
        children = [int(leader.stdout.readline()) for _ in range(2)]
        assert all(map(lives, children))
        end(leader.pid)
        assert leader.wait(45) == -9
    until(lambda: not any(map(lives, children)), what="their end")
    end(leader.pid)
