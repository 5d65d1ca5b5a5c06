"""Several `runstead serve` over one PostgreSQL and one Redis: the harness of the tests of many processes.

Each member is a process of its own on a port of its own, to be killed, stopped and started again. Who owns a run is read
from the store; everything else is asked over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

from tests.services import PostgresServer, RedisServer
from tests.serving import START_S, WAIT_S, Client, Frame, Json, Server, until

# Short, so that tests of takeovers need not wait; the rest is as it ships. A busy machine may leave a process without a turn
# for longer: where a takeover would make a difference that was not asked for, the lease is `LONG_LEASE_S`.
LEASE_S = 2.0
LONG_LEASE_S = 120.0


class Cluster:
    """The members, in the order in which they were added. A context manager; its end stops who still runs, in order."""

    def __init__(self, folder: Path, model_url: str, postgres: PostgresServer, redis: RedisServer) -> None:
        self.members: list[Server] = []
        self.postgres = postgres
        self.redis = redis
        self.database_url = postgres.new_database()
        self._folder = folder
        self._model_url = model_url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        running = [member for member in self.members if member.running]
        for member in running:
            member.resume()
            member.terminate()
        codes = [member.wait_gone() for member in running]
        if kind is None:  # else PostgreSQL may be as dead as the test
            self.postgres.drop_database(self.database_url)
            assert not any(codes), f"exit codes {codes}\n{self.log}"

    @property
    def log(self) -> str:
        """All that the members wrote."""
        return "\n".join(f"--- {member.folder.name}\n{member.log}" for member in self.members)

    def add(self, name: str, **settings: str) -> Server:
        """One more member, not started."""
        given = {
            "RUNSTEAD_LEASE_S": f"{LEASE_S}",
            "RUNSTEAD_KEEPALIVE_S": "0.5",
            "RUNSTEAD_DRAIN_S": "2",
            **settings,
        }
        member = Server(
            self._folder / name,
            self._model_url,
            RUNSTEAD_DATABASE_URL=self.database_url,
            RUNSTEAD_REDIS_URL=self.redis.url,
            **given,
        )
        self.members.append(member)
        return member

    def start(self) -> None:
        """Start, at once, whoever does not run."""
        together(*(member.start for member in self.members if not member.running))

    def owner_pid(self, run_id: str) -> int | None:
        """The process that holds a run's lease, if there is one."""
        name = self.postgres.sql(f"SELECT owner FROM runs WHERE id = '{run_id}'", self.database_url)
        return int(name.split(":")[2]) if name else None

    def owner(self, run_id: str) -> Server:
        """The member that works on a run, once there is one."""
        until(lambda: self.owner_pid(run_id) is not None, what=f"an owner of {run_id}")
        pid = self.owner_pid(run_id)
        return next(member for member in self.members if member.running and member.pid == pid)

    def others(self, but: Server) -> list[Server]:
        """Every member that runs, but one."""
        return [member for member in self.members if member is not but and member.running]


class Watcher:
    """A client that follows a run in a thread of its own, and what it was told."""

    def __init__(self, server: Server, run_id: str, after: int = 0) -> None:
        self.frames: list[Frame] = []
        self.error: BaseException | None = None
        self._place = (server, run_id, after)
        self._thread = Thread(target=self._watch)
        self._thread.start()

    @property
    def numbered(self) -> list[Frame]:
        """The events of the log, without the pings that fill silence."""
        return [frame for frame in list(self.frames) if frame.seq]

    @property
    def over(self) -> bool:
        """Whether its response has ended."""
        return not self._thread.is_alive()

    def saw(self, count: int) -> None:
        """Wait until it was given so many events."""
        until(lambda: len(self.numbered) >= count, what=f"{count} events")

    def all(self) -> list[Frame]:
        """Everything it was told, once the response has ended."""
        self._thread.join(WAIT_S)
        assert self.over, f"its response did not end: {self.frames[-3:]}"
        if self.error is not None:
            raise AssertionError("the reader broke") from self.error
        return self.frames

    def _watch(self) -> None:
        server, run_id, after = self._place
        try:
            with server.client() as client:
                body = {"starting_after": after, "include_pings": True}
                with client.stream(f"/v1/runs/{run_id}/stream", body) as frames:
                    for frame in frames:
                        self.frames.append(frame)
        except BaseException as error:  # noqa: BLE001 - told by `all`, in the test's own thread
            self.error = error


def together(*works: Callable[[], object]) -> None:
    """Do several things at once, each in a thread; the first failure is the test's."""
    failed: list[BaseException] = []

    def do(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            failed.append(error)

    threads = [Thread(target=do, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * START_S)
    if failed:
        raise failed[0]


def begin(client: Client, content: str, *, agent: str | None = None, **options: object) -> str:
    """Begin a background run with tokens and leave; gives its id."""
    body = {
        "messages": [{"role": "user", "content": content}],
        "stream_tokens": True,
        "background": True,
        **options,
    }
    path = f"/v1/agents/{agent or client.agent()}/messages/stream"
    with client.stream(path, body) as frames:
        return str(next(frames).json["run_id"])


def whole(frames: list[Frame]) -> list[Json]:
    """The events of a run read from its beginning to its end. Holds that each number came once, in order."""
    assert frames[-1].done, frames[-3:]
    numbered = [frame for frame in frames if frame.seq]
    assert [frame.seq for frame in numbered] == list(range(1, len(numbered) + 1))
    return [frame.json for frame in numbered]


def said(events: list[Json]) -> str:
    """What the assistant said in the attempts that were not given up."""
    gone: set[str] = set()
    for event in events:
        gone |= set(event.get("superseded_message_ids") or ())
    return "".join(
        str(event["content"])
        for event in events
        if event["message_type"] == "assistant_message" and event["id"] not in gone
    )


@contextmanager
def asleep(member: Server) -> Generator[None]:
    """Stopped for the time of the block."""
    member.pause()
    try:
        yield
    finally:
        member.resume()
