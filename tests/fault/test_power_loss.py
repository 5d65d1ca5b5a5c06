"""The power goes: what SQLite's log has on the disk decides, and whatever it has, the data is whole and the server goes on.

A workload runs, and for each write that was acknowledged it is noted how long the log was. Then the log is cut at every
frame, in the middle of frames, with garbage, zeros or an older log behind, and with frames missing in between: every one of
these is opened and looked at, and on many a server is started.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import zlib
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from tests.fault import wal
from tests.fault.nursery import ROOT
from tests.fault.story import Plan, Stage, stage
from tests.fault.wal import Disk

from runstead.domain.message import Message
from runstead.domain.run import Run
from runstead.domain.run_machine import Change
from runstead.store.events import EventRow

pytestmark = pytest.mark.slow

STARTS = 24
SEED = 20
CHECKPOINT_S = 60.0


@dataclass(frozen=True, slots=True)
class Fact:
    """What an acknowledged write promises of a run: events up to a number, steps, messages; and the log's length then."""

    wal_bytes: int
    run_id: str
    last_seq: int = 0
    steps: int = 0
    final: bool = False
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a cut database holds of one run."""

    last_seq: int
    steps: int
    final: bool
    messages: frozenset[str]

    def keeps(self, fact: Fact) -> bool:
        """Whether a promise is kept."""
        return (
            self.last_seq >= fact.last_seq
            and self.steps >= fact.steps
            and self.final >= fact.final
            and self.messages.issuperset(fact.messages)
        )


class Notes:
    """What was acknowledged, in its order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.facts: list[Fact] = []

    def take(self, name: str, args: tuple[object, ...]) -> None:
        """A write was acknowledged."""
        db, log = wal.read(self._path)
        ends = Disk(db, log).ends() if log else []
        size = ends[-1] if ends else 0
        if name == "admit":
            run, inputs = cast("Run", args[1]), cast("tuple[Message, ...]", args[2])
            self.facts.append(Fact(size, run.id, 1, messages=tuple(m.id for m in inputs)))
        elif name == "append":
            rows = cast("list[EventRow]", args[0])
            self.facts += [Fact(size, row.run_id, row.last_seq) for row in rows]
        elif name == "commit":
            change = cast("Change", args[0])
            made = tuple(m.id for m in change.messages)
            run = change.run
            self.facts.append(Fact(size, run.id, 0, run.step_count, run.status.final, made))


async def work(s: Stage) -> None:
    """Two runs of the same agent, one told in pieces and then another one, packed when they are over."""
    for number in range(2):
        await s.send(f"seen {number}", f"request {number}")
        await s.all_over()
        await s.pack()


@pytest.fixture(params=["a new log", "a log begun anew"])
async def lost(request: pytest.FixtureRequest, folder: Path) -> tuple[Disk, list[Fact]]:
    """A disk without its last checkpoint, and what was acknowledged since the one before."""
    path = folder / "runstead.db"
    async with stage(folder, Plan()) as s:
        await s.begin()
        await s.all_over()
        await s.pack()
    async with stage(folder, Plan()) as s:
        if request.param == "a log begun anew":
            await work_before(s, path)
        before = wal.read(path)[1]
        notes = Notes(path)
        s.database.acknowledged = notes.take
        db = path.read_bytes()
        await work(s)
        after, log = wal.read(path)
        assert db == after, "a checkpoint came in between; the workload must stay below its size"
    return Disk(db, log, before), notes.facts


async def work_before(s: Stage, path: Path) -> None:
    """Fill the log, and bring all of it into the database, so that the next write begins it anew."""
    await s.send("seen before", "an older request")
    await s.all_over()
    await s.pack()
    with closing(sqlite3.connect(path, timeout=CHECKPOINT_S)) as other:
        busy, frames, done = other.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    assert (0, frames) == (busy, done)


def look(path: Path) -> dict[str, Seen]:
    """All runs of a cut database, each of which must be whole."""
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        assert [("ok",)] == [tuple(row) for row in db.execute("PRAGMA integrity_check")]
        assert [] == db.execute("PRAGMA foreign_key_check").fetchall()
        runs = db.execute("SELECT * FROM runs").fetchall()
        keys = db.execute("SELECT count(DISTINCT run_id) FROM idempotency_keys").fetchone()[0]
        assert len(runs) == keys, "a run is admitted with its key or not at all"
        return {run["id"]: whole(db, run) for run in runs}


def whole(db: sqlite3.Connection, run: sqlite3.Row) -> Seen:
    """Check that a run, its events, its messages and its steps are of one moment."""
    told = lines(db, run["id"])
    said = db.execute("SELECT * FROM messages WHERE run_id = ? ORDER BY position", [run["id"]]).fetchall()
    made = db.execute("SELECT * FROM steps WHERE run_id = ?", [run["id"]]).fetchall()
    final = run["completed_at"] is not None
    assert run["last_seq"] <= len(told)
    assert Counter(row["role"] for row in said)["user"] == 1
    assert {row["step_id"] for row in said if row["role"] == "assistant"} == {row["id"] for row in made}
    assert run["completion_tokens"] == sum(row["completion_tokens"] for row in made)
    assert run["step_count"] == len(made)
    calls = {c["id"] for row in said for c in orjson.loads(row["document"]).get("calls", ())}
    returns = {orjson.loads(row["document"])["return"]["call_id"] for row in said if row["role"] == "tool"}
    open_steps = [row for row in made if row["status"] == "pending"]
    assert len(calls - returns) == len(open_steps), "a step is open as long as its call has no return"
    assert final == (told[-1][:1] == b"u"), "the last event and the end are one commit"
    if final:
        assert (run["last_seq"], []) == (len(told), open_steps)
    if run["epoch"] == 0:
        assert (1, 1, 0) == (len(told), len(said), len(made))
    ids = frozenset(row["id"] for row in said)
    return Seen(len(told), run["step_count"], final, ids)


def lines(db: sqlite3.Connection, run_id: str) -> list[bytes]:
    """The events of a run, which must be numbered without a gap."""
    found: list[bytes] = []
    for row in db.execute("SELECT * FROM events WHERE run_id = ? ORDER BY first_seq", [run_id]):
        some = (zlib.decompress(row["body"]) if row["packed"] else row["body"]).split(b"\n")
        assert (len(found) + 1, len(found) + len(some)) == (row["first_seq"], row["last_seq"])
        found += some
    return found


async def test_whatever_the_log_has_the_data_is_whole(lost: tuple[Disk, list[Fact]], folder: Path) -> None:
    """A cut takes away the newest writes, from the end on and each as a whole, and nothing else."""
    disk, facts = lost
    assert len(disk.ends()) > len(facts) > 15
    assert [fact.wal_bytes for fact in facts] == sorted(fact.wal_bytes for fact in facts)
    moments: set[int] = set()
    for end, log in disk.torn(SEED):
        seen = look(disk.put(folder / "cut", log))
        kept = [fact.run_id in seen and seen[fact.run_id].keeps(fact) for fact in facts]
        assert kept == sorted(kept, reverse=True), "a later write is there without an earlier one"
        assert all(held for held, fact in zip(kept, facts, strict=True) if fact.wal_bytes <= end)
        moments.add(sum(kept))
    assert {0, len(facts)} <= moments
    assert len(moments) > 15, "the cuts fall between the writes"


async def test_a_server_goes_on_from_any_cut(lost: tuple[Disk, list[Fact]], folder: Path) -> None:
    """It starts, ends every run that was admitted, and takes new ones; a request whose run was lost makes it again."""
    disk, _ = lost
    ends = [0, *disk.ends()]
    for number in range(STARTS):
        end = ends[number * (len(ends) - 1) // (STARTS - 1)]
        path = disk.put(folder / "cut", disk.wal[:end] + disk.before[end:])
        (path.parent / "agent").write_text((folder / "agent").read_text())
        async with stage(path.parent, Plan(begins=False)) as s:
            s.points.armed = False
            await s.all_over()
            await work(s)
        whole_again(path)


def whole_again(path: Path) -> None:
    """Every run is over, and none is doubled: one for each key."""
    with closing(sqlite3.connect(path)) as db:
        assert [("ok",)] == db.execute("PRAGMA integrity_check").fetchall()
        ended = db.execute("SELECT status, stop_reason, last_seq, id FROM runs").fetchall()
        keys = db.execute("SELECT count(*), count(DISTINCT run_id) FROM idempotency_keys").fetchone()
        db.row_factory = sqlite3.Row
        assert [last_seq for _, _, last_seq, _ in ended] == [len(lines(db, id_)) for *_, id_ in ended]
    assert {("completed", "end_turn")} == {each[:2] for each in ended}
    assert (len(ended), len(ended)) == keys


_CALL = re.compile(r"^(\d+)\s+(\w+)\(\d+<([^>]*)>(.*)$")
_RESUMED = re.compile(r"^(\d+)\s+<\.\.\. (\w+) resumed>")


@dataclass(slots=True)
class Trace:
    """What the kernel was asked: how far the log was written and how far it was synced whenever a write was acknowledged."""

    at_acks: list[tuple[int, int]]
    log_syncs: int = 0


def traced(text: str) -> Trace:
    """Read strace's output. A sync holds from its end on, for what was written before it began."""
    trace = Trace([])
    written = synced = 0
    under_way: dict[str, int] = {}
    for line in text.splitlines():
        if (resumed := _RESUMED.match(line)) and resumed[2] == "fdatasync":
            synced = max(synced, under_way.pop(resumed[1], 0))
        if not (call := _CALL.match(line)):
            continue
        thread, name, path, rest = call.groups()
        if path.endswith("/acks") and name == "write":
            trace.at_acks.append((written, synced))
        elif path.endswith("-wal") and name == "pwrite64":
            size, offset = re.findall(r"(\d+), (\d+)(?:\)| <unf)", rest)[0]
            written = max(written, int(size) + int(offset))
        elif path.endswith("-wal") and name in {"fsync", "fdatasync"}:
            trace.log_syncs += 1
            if "unfinished" in rest:
                under_way[thread] = written
            else:
                synced = written
    return trace


@pytest.fixture
def strace() -> str:
    """The program that shows system calls. Its absence skips a test, but fails it in the build."""
    for folder in os.environ["PATH"].split(os.pathsep):
        if (found := Path(folder) / "strace").exists():
            return str(found)
    if os.environ.get("CI"):
        pytest.fail("strace is not installed")
    pytest.skip("strace is not installed")


def journey(strace: str, folder: Path, synchronous: str) -> Trace:
    """Run the story under strace."""
    out = folder / "trace"
    watch = [
        strace,
        "-f",
        "-y",
        "-qq",
        "-s",
        "0",
        "-e",
        "trace=fsync,fdatasync,pwrite64,write",
        "-o",
        str(out),
    ]
    story: list[Any] = [sys.executable, "-m", "tests.fault.journey", folder, synchronous]
    subprocess.run([*watch, *story], cwd=ROOT, check=True, timeout=150)
    return traced(out.read_text())


def test_full_acknowledges_what_is_on_the_disk(strace: str, tmp_path: Path) -> None:
    """With `synchronous=FULL` nothing is acknowledged whose log was not synced to its end."""
    trace = journey(strace, tmp_path, "FULL")
    assert len(trace.at_acks) > 10
    assert all(written == synced > 0 for written, synced in trace.at_acks)


def test_normal_acknowledges_what_the_system_has(strace: str, tmp_path: Path) -> None:
    """With `synchronous=NORMAL` only a checkpoint syncs: what came since may go with the power, as the cuts show."""
    trace = journey(strace, tmp_path, "NORMAL")
    assert len(trace.at_acks) > 10
    assert all(synced <= wal.HEADER_BYTES < written for written, synced in trace.at_acks), trace
