"""The users that calls are: never two calls one, whichever server they are of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runstead.tools.passing_users import FOLDER, NobodyLeft, PassingUsers

UIDS = range(60_600, 60_603)
# No server's calls are these, and of no test that runs beside this one: whatever they have may be ended.
OTHERS = [61_100 + 2 * (os.getpid() % 40) + n for n in range(2)]
HOLDS_ONE = f"""
import sys
from runstead.tools.passing_users import PassingUsers
with PassingUsers(range({UIDS.start}, {UIDS.stop}), [sys.argv[1]]).lend() as uid:
    print(uid, flush=True)
    sys.stdin.read()
"""


def test_two_servers_calls_are_never_one_user(tmp_path: Path) -> None:
    """Each begins anywhere; what the other one holds is passed over. A user is free again when its call is over."""
    one, other = (PassingUsers(UIDS, [str(tmp_path)]) for _ in range(2))
    with one.lend() as a, other.lend() as b, one.lend() as c:
        assert {a, b, c} == set(UIDS)
        with pytest.raises(NobodyLeft, match="RUNSTEAD_SANDBOX_CALLS_MAX"), other.lend():
            pass
    with other.lend() as a, other.lend() as b, other.lend() as c:
        assert {a, b, c} == set(UIDS)


def test_what_a_killed_server_held_is_free(tmp_path: Path) -> None:
    """The kernel lets go of what its process held."""
    holding = subprocess.Popen(
        [sys.executable, "-c", HOLDS_ONE, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holding.stdin is not None
    assert holding.stdout is not None
    held = int(holding.stdout.readline())
    users = PassingUsers(UIDS, [str(tmp_path)])
    with users.lend() as a, users.lend() as b:
        assert {a, b} == set(UIDS) - {held}
        holding.kill()
        holding.wait()
        with users.lend() as c:
            assert c == held
    holding.stdin.close()
    holding.stdout.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_what_a_killed_servers_calls_left_is_reclaimed(tmp_path: Path) -> None:
    """Processes and files of users that are nobody's call now; who is a call keeps both."""
    users = PassingUsers(OTHERS, [str(tmp_path)])
    assert [] == users.reclaim()
    left, kept = OTHERS[0], OTHERS[1]
    processes = {uid: subprocess.Popen(["/bin/sleep", "600"], user=uid) for uid in (left, kept)}
    files = {uid: Path(f"/var/tmp/runstead-test-{uid}") for uid in (left, kept)}
    for uid, file in files.items():
        file.touch()
        os.chown(file, uid, uid)
    try:
        with PassingUsers([kept], [str(tmp_path)]).lend():
            assert [left] == users.reclaim()
            assert processes[left].wait(45) == -9
            assert processes[kept].poll() is None
        assert [False, True] == [files[uid].exists() for uid in (left, kept)]
        assert [kept] == users.reclaim()
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def test_a_folder_of_somebody_elses_is_not_trusted(tmp_path: Path) -> None:
    """Whoever could write there could hold every user, or let one be two calls'. The next place is taken."""
    open_to_all, kept = tmp_path / "a", tmp_path / "b"
    for place in (open_to_all, kept):
        place.mkdir()
    (open_to_all / FOLDER).mkdir()
    (open_to_all / FOLDER).chmod(0o777)
    with PassingUsers(UIDS, [str(open_to_all), str(tmp_path / "none"), str(kept)]).lend() as uid:
        assert [str(uid)] == os.listdir(kept / FOLDER)  # noqa: PTH208 - the names
    with pytest.raises(NobodyLeft, match=FOLDER), PassingUsers(UIDS, [str(open_to_all)]).lend():
        pass
