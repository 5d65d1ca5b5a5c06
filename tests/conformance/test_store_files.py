"""What the store promises of folders and files among several processes: read by one at a time, whole, and their actor's. On
both databases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Concatenate, ParamSpec, TypeVar

import pytest
from sqlalchemy import Connection
from tests.conformance.stores import Stores
from tests.store.rows import NOW, agent

from runstead.domain.file_text import chunks_of
from runstead.domain.folder import FILE_TOOLS, Duplicate, FileStatus, Folder, StoredFile
from runstead.errors import Conflict, NotFound
from runstead.filing import ATTEMPTS_MAX, LEASE, Filing
from runstead.ids import DEFAULT_USER, AgentId, FileId, FolderId, UserId
from runstead.memory.archival import ArchivalMemory
from runstead.settings import Settings
from runstead.store import agent_folders, agents, files, folders, open_files, passages
from runstead.store.database import Database
from runstead.store.files import DueFile, FileFilter
from runstead.store.open_files import FileView
from runstead.store.pages import Page
from runstead.store.passages import PassageFilter
from runstead.tools.reader import DocumentReader

pytestmark = pytest.mark.anyio
FOLDER = Folder(FolderId("source-1"), DEFAULT_USER, "notes", NOW, NOW)
OTHER = UserId("user-of-somebody-else")
P = ParamSpec("P")
T = TypeVar("T")
LONG = "\n".join(f"Line {number} of tea." for number in range(20_000))


def file(number: int = 1, name: str = "tea.txt") -> StoredFile:
    """A file to be stored."""
    return StoredFile(
        FileId(f"file-{number}"), DEFAULT_USER, FOLDER.id, "", name, name, 10, NOW, NOW
    )  # fmt: skip


async def put(
    db: Database, made: StoredFile, body: bytes = b"tea", how: Duplicate = Duplicate.ERROR
) -> StoredFile:
    """Store a file that came."""
    return await db.write(files.add_file, made, body, how, 10**9, NOW)


async def found(db: Database, number: int = 1) -> StoredFile:
    """A file as it is now."""
    there = await db.read(files.find_file, DEFAULT_USER, f"file-{number}")
    assert there is not None
    return there


def pieces() -> PassageFilter:
    """The passages of every file of the folder."""
    return PassageFilter(files=files.ids_in(DEFAULT_USER, FOLDER.id))


def filings(two: Stores) -> tuple[Filing, Filing]:
    """The same work in two processes."""
    reader = DocumentReader(Settings())
    return Filing(two.a, reader, ArchivalMemory(), two.clock), Filing(
        two.b, reader, ArchivalMemory(), two.clock
    )


async def test_a_file_is_read_by_one_process(two: Stores) -> None:
    """Both look at once, over many files: each is read once, and all of it is there."""
    await two.a.write(folders.insert_folder, FOLDER)
    for number in range(6):
        await put(two.a, file(number, f"{number}.txt"), f"tea number {number}".encode())
    one, other = filings(two)

    async def work(filing: Filing) -> None:
        while await filing.read_due():
            continue

    await asyncio.gather(work(one), work(other))

    there = await two.a.read(files.list_files, DEFAULT_USER, FileFilter(FOLDER.id), Page())
    assert [each.status for each in there] == [FileStatus.COMPLETED] * 6
    assert await two.b.read(passages.count_passages, DEFAULT_USER, pieces()) == 6


async def test_an_attempt_that_wakes_up_writes_nothing(two: Stores) -> None:
    """Its lease is over, another attempt has begun: every write of its is refused, and a lease is given once."""
    await two.a.write(folders.insert_folder, FOLDER)
    await put(two.a, file())
    due = DueFile(FileId("file-1"), 0)
    assert await two.a.read(files.due, NOW, 9) == [due]
    taken = await asyncio.gather(*(db.write(files.lease, due, NOW + LEASE, NOW) for db in two.both))
    (mine,) = [each for each in taken if each is not None]
    assert mine.status is FileStatus.PARSING
    assert await two.b.read(files.due, NOW, 9) == []
    later = NOW + LEASE + timedelta(seconds=1)
    (again,) = await two.b.read(files.due, later, 9)
    assert await two.b.write(files.lease, again, later + LEASE, later) is not None
    sized = replace(mine, chars=3, lines=1, total_chunks=1)

    assert not await two.a.write(files.put_text, sized, 1, "tea", later, later)
    assert not await two.a.write(files.put_chunks, sized, 1, [], 1, later, later)
    assert not await two.a.write(files.give_up, mine, 1, "no", later)
    assert (await found(two.a)).status is FileStatus.PARSING
    assert await two.b.write(files.put_text, sized, 2, "tea", later, later)
    assert await two.a.read(files.body_of, mine.id) is None


async def test_who_goes_on_makes_nothing_twice(two: Stores) -> None:
    """A process dies with the text made and some passages stored; until the last one is there, the file is not found."""
    await two.a.write(folders.insert_folder, FOLDER)
    await two.a.write(agent_folders.attach, DEFAULT_USER, agent().id, FOLDER.id, NOW)
    await put(two.a, file(), LONG.encode())
    dying = _DiesAfter(two.a, 3)
    clock = two.clock
    with pytest.raises(_Died):
        await Filing(dying, DocumentReader(Settings()), ArchivalMemory(), clock).read_due()
    left = await found(two.a)
    assert (left.status, left.chunks_done) == (FileStatus.EMBEDDING, 200)
    readable = PassageFilter(files=files.readable_by(DEFAULT_USER, agent().id))
    assert await two.a.read(passages.search_passages, DEFAULT_USER, "tea", readable, 9) == []
    _, other = filings(two)
    assert not await other.read_due()
    clock.advance(LEASE.total_seconds() + 1)
    assert await other.read_due()

    done = await found(two.a)
    assert (done.status, done.chunks_done) == (FileStatus.COMPLETED, len(chunks_of(LONG)))
    assert await two.a.read(passages.count_passages, DEFAULT_USER, pieces()) == done.total_chunks
    assert len(await two.a.read(passages.search_passages, DEFAULT_USER, "tea", readable, 9)) == 9


async def test_a_file_that_ends_its_process_is_given_up(two: Stores) -> None:
    """After so many attempts; what is disowned is read at once."""
    await two.a.write(folders.insert_folder, FOLDER)
    await put(two.a, file())
    for attempts in range(ATTEMPTS_MAX):
        assert await two.a.write(files.lease, DueFile(FileId("file-1"), attempts), NOW + LEASE, NOW)
        await two.a.write(files.disown_all)
    assert await filings(two)[0].read_due()

    gone = await found(two.a)
    assert gone.status is FileStatus.ERROR
    assert "given up" in str(gone.error)
    assert await two.a.read(files.body_of, gone.id) is None


async def test_names_are_given_once(two: Stores) -> None:
    """Uploads at once, in two processes, get names of their own; folders have different names."""
    await two.a.write(folders.insert_folder, FOLDER)
    came = await asyncio.gather(*(put(two.both[n % 2], file(n), how=Duplicate.SUFFIX) for n in range(8)))
    assert len({each.name for each in came}) == 8
    made = [replace(FOLDER, id=FolderId(f"source-{n}"), name="same") for n in (2, 3)]
    outcomes = await asyncio.gather(
        *(db.write(folders.insert_folder, each) for db, each in zip(two.both, made, strict=True)),
        return_exceptions=True,
    )
    assert [type(each) for each in outcomes if each is not None] == [Conflict]


async def test_what_is_deleted_leaves_nothing(two: Stores) -> None:
    """A file's text, pieces and windows; a folder's files and what agents had of it, while one of them is read."""
    await two.a.write(folders.insert_folder, FOLDER)
    record = await two.a.write(agent_folders.attach, DEFAULT_USER, agent().id, FOLDER.id, NOW)
    assert record is not None
    assert record.agent.tools[-3:] == FILE_TOOLS
    for number in (1, 2, 3):
        await put(two.a, file(number, f"{number}.txt"))
    while await filings(two)[0].read_due():
        continue
    views = [FileView(await found(two.a, number)) for number in (1, 2)]
    await two.a.write(open_files.open_views, record.agent, views, NOW)
    assert len(await two.b.read(open_files.windows_of_agent, record.agent)) == 2
    assert await two.a.write(files.delete_file, DEFAULT_USER, FOLDER.id, "file-1")
    (window,) = await two.b.read(open_files.windows_of_agent, record.agent)
    assert (window.file.id, window.text, window.last_line) == ("file-2", "tea", 1)
    await put(two.a, file(4, "late.txt"))
    late = await two.a.write(files.lease, DueFile(FileId("file-4"), 0), NOW + LEASE, NOW)
    assert late is not None

    assert await two.b.write(agent_folders.delete_folder, DEFAULT_USER, FOLDER.id, NOW)

    assert not await two.a.write(files.put_text, replace(late, total_chunks=1), 1, "x", NOW, NOW)
    assert await two.a.read(passages.count_passages, DEFAULT_USER, pieces()) == 0
    assert await two.a.read(_rows) == 0
    left = await two.a.read(agents.find_record, DEFAULT_USER, agent().id)
    assert left is not None
    assert (left.folders, left.windows, set(left.agent.tools) & set(FILE_TOOLS)) == ([], (), set())


async def test_another_actor_has_nothing_of_it(two: Stores) -> None:
    """Whatever is asked for by its id."""
    await two.a.write(folders.insert_folder, FOLDER)
    await put(two.a, file())
    await filings(two)[0].read_due()
    db, folder = two.a, FOLDER.id

    assert await db.read(folders.find_folder, OTHER, folder) is None
    assert await db.read(folders.find_by_name, OTHER, "notes") is None
    assert await db.write(folders.update_folder, OTHER, folder, {"name": "x"}, NOW) is None
    assert not await db.write(agent_folders.delete_folder, OTHER, folder, NOW)
    assert await db.read(files.find_file, OTHER, "file-1") is None
    assert await db.read(files.text_of, OTHER, "file-1") is None
    assert await db.read(files.texts_of, OTHER, ["file-1"]) == {}
    assert await db.read(files.list_files, OTHER, FileFilter(folder), Page()) == []
    assert await db.read(files.stats, OTHER) == []
    assert not await db.write(files.delete_file, OTHER, folder, "file-1")
    with pytest.raises(NotFound):
        await db.write(files.add_file, replace(file(2), user_id=OTHER), b"", Duplicate.SKIP, 10**9, NOW)
    assert await db.write(agent_folders.attach, OTHER, agent().id, folder, NOW) is None
    assert await db.read(folders.list_held_ids, OTHER, AgentId(agent().id)) == set()


def _rows(conn: Connection) -> int:
    """How many rows there are of files and what belongs to them."""
    tables = (
        "folders",
        "files",
        "file_texts",
        "file_bodies",
        "agent_files",
        "agent_folders",
        "passages",
        "archives",
    )
    return sum(conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in tables)


class _Died(Exception):
    """Where the process would have ended."""


class _DiesAfter:
    """A store whose process ends before its next write, after so many."""

    def __init__(self, db: Database, writes: int) -> None:
        self._db = db
        self._left = writes
        self.read = db.read
        self.close = db.close

    async def write(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._left -= 1
        if self._left < 0:
            raise _Died
        return await self._db.write(query, *args, **kwargs)
