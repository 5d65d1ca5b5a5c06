"""The story that every fault interrupts: a server over a folder, one run with tokens and a tool, and a signal at one point.

All parts are the real ones. The points are reached in what surrounds them: a database that looks at the names of queries,
a scripted model, a tool with an effect outside of the server, and a client that writes down every byte it was given.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import httpx
import orjson
import uvloop
from sqlalchemy import Connection
from tests.world import World, wait_for, wait_until

from runstead.app import Server, build, running
from runstead.domain.message import Role
from runstead.domain.tool import OnInterrupt, ToolOutcome, ToolSpec
from runstead.engine.tally import CountedExecutor
from runstead.ids import RunId
from runstead.llm.scripted import Cue, ScriptedGateway
from runstead.llm.types import CallDelta, Delta, Finish, ModelRequest, TextDelta
from runstead.loop.loop import AgentLoop
from runstead.settings import Settings
from runstead.store import actors, events
from runstead.store.migrate import migrate
from runstead.store.sqlite import SqliteDatabase
from runstead.tools.registry import Arguments, BuiltinTool, ToolContext

P = ParamSpec("P")
T = TypeVar("T")

# A name that agents may have and that no tool of the server answers to.
TOOL = "web_search"
KEY = "the same request"
FIRST_PIECES = ("Let me ", "look. ")
LAST_PIECES = ("It is ", "so.")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a process does, and where it gets its signal: the `nth` time that it reaches the point `at`; "" is nowhere.

    `begins`: it sends the message; otherwise it works on what it finds. `drains`: the point at which it is told to stop,
    and where it then stays. `tells`: it delivers callbacks by itself, as servers do. `shares`: another process may work on
    the same database, so it takes no run from anybody.
    """

    at: str = ""
    nth: int = 1
    signal: int = 9
    begins: bool = True
    drains: str = ""
    drains_nth: int = 1
    stream_tokens: bool = True
    on_interrupt: OnInterrupt = "rerun"
    lease_s: float = 15.0
    callback_url: str | None = None
    tells: bool = True
    shares: bool = False
    synchronous: str = "NORMAL"


class Points:
    """Counts how often each point of the story is reached, and sends this process its signal at one of them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._reached: Counter[str] = Counter()
        self.armed = False
        self.signalled = False
        self.drain: Callable[[], None] = lambda: None

    def reach(self, name: str) -> None:
        """The story is at a point."""
        if not self.armed:
            return
        self._reached[name] += 1
        if (name, self._reached[name]) == (self._plan.at, self._plan.nth):
            self.signalled = True
            os.kill(os.getpid(), self._plan.signal)

    async def stay(self, name: str) -> None:
        """The story is at a point where it can be held up."""
        self.reach(name)
        if self.armed and (name, self._reached[name]) == (self._plan.drains, self._plan.drains_nth):
            self.drain()
            await asyncio.Event().wait()


class WatchedDatabase(SqliteDatabase):
    """The database, with points before a query, inside its transaction and after its commit."""

    points: Points
    refusals: Path
    appends: int
    shared: bool
    acknowledged: Callable[[str, tuple[object, ...]], None]

    async def write(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Write, and say so."""
        name = getattr(query, "__name__", "?").strip("_")
        if name == "disown_all" and self.shared:
            return cast("T", 0)

        def inside(conn: Connection, *args: P.args, **kwargs: P.kwargs) -> T:
            value = query(conn, *args, **kwargs)
            self.points.reach(f"{name}, inside")
            return value

        self.points.reach(f"{name}, before")
        try:
            value = await super().write(inside, *args, **kwargs)
        except Exception as error:
            self._note(f"{name}: {type(error).__name__}")
            raise
        if name == "append":
            self.appends += 1
            if value:
                self._note(f"{name}: refused")
        self.acknowledged(name, args)
        self.points.reach(f"{name}, after")
        return value

    def _note(self, line: str) -> None:
        with self.refusals.open("a") as out:
            out.write(line + "\n")


class PacedModel(ScriptedGateway):
    """A model that says its next piece when the client has the one before, or, without one, when that is durable."""

    def __init__(self, points: Points, plan: Plan) -> None:
        super().__init__(self._turn_for)
        self._points = points
        self._plan = plan
        self.client: Client | None = None
        self.appends: Callable[[], int] = lambda: 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.held_up = False

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta]:
        """Answer, with a point before, between and after the pieces."""
        await self._points.stay("model, asked")
        async for delta in super().stream(request):
            if isinstance(delta, Finish):
                await self._points.stay("model, all said")
                self.held_up = not self.may_end.is_set()
                await self.may_end.wait()
            seen = self.client.frames if self.client else self.appends()
            yield delta
            if isinstance(delta, TextDelta | CallDelta):
                await self._told(seen)
                await self._points.stay("model, a piece said")

    async def _told(self, before: int) -> None:
        if self.client is not None:
            await self.client.has_more_than(before)
        elif self._plan.stream_tokens and self._plan.callback_url is None:
            await wait_until(lambda: self.appends() > before, "a piece being durable")

    def _turn_for(self, request: ModelRequest) -> list[Cue]:
        if request.messages[-1].role is Role.TOOL:
            return [TextDelta(piece) for piece in LAST_PIECES]
        # Another attempt gives its calls other ids, as models do.
        call = CallDelta(0, f"call-{os.getpid()}-{len(self.requests)}", TOOL)
        return [*(TextDelta(p) for p in FIRST_PIECES), call, CallDelta(0, arguments='{"query": "x"}')]


class Client:
    """Sends the message, and keeps what it is given in a file, byte by byte."""

    def __init__(self, server: Server, points: Points, kept: Path, key: str) -> None:
        self._server = server
        self._points = points
        self._kept = kept
        self._key = key
        self._woken = asyncio.Event()
        self.frames = 0

    async def has_more_than(self, frames: int) -> None:
        """Wait until it was given more events than so many."""
        while self.frames <= frames:
            self._woken.clear()
            await self._woken.wait()

    async def post(self, path: str, body: bytes) -> None:
        """Send a request and read its answer to the end."""
        headers = [(b"content-type", b"application/json"), (b"idempotency-key", self._key.encode())]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8283),
        }
        sent = False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if sent:
                await asyncio.Event().wait()  # it never leaves
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        with self._kept.open("ab", buffering=0) as out:

            async def send(message: Any) -> None:
                if chunk := message.get("body"):
                    out.write(chunk)
                    self.frames += chunk.count(b"id: ")
                    self._woken.set()
                    self._points.reach("client, given events")

            await self._server.api(scope, receive, send)


class Stage:
    """A server for the story, in this process."""

    def __init__(self, folder: Path, server: Server, model: PacedModel, points: Points, plan: Plan) -> None:
        self.folder = folder
        self.server = server
        self.model = model
        self.database = cast("WatchedDatabase", server.services.db)
        self.points = points
        self._plan = plan

    async def begin(self) -> None:
        """Make the agent, once; then send the message and read the answer to its end."""
        noted = self.folder / "agent"
        if not noted.exists():
            transport = httpx.ASGITransport(self.server.api, client=("127.0.0.1", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8283") as http:
                noted.write_text(await World(self.server, http).agent(tools=[TOOL], include_base_tools=False))
        self.points.armed = True
        await self.send("seen")

    async def send(self, kept: str, key: str = KEY) -> None:
        """Send the message, the same each time, and keep the answer in a file of that name. Another key: another run."""
        agent = (self.folder / "agent").read_text()
        plan = self._plan
        client = Client(self.server, self.points, self.folder / kept, key)
        how = {"stream_tokens": plan.stream_tokens, "background": True}
        path = f"/v1/agents/{agent}/messages/stream"
        if plan.callback_url is not None:
            how, path = {"callback_url": plan.callback_url}, f"/v1/agents/{agent}/messages/async"
        elif plan.stream_tokens:
            self.model.client = client
        body = {"messages": [{"role": "user", "content": "What is it?"}], **how}
        await client.post(path, orjson.dumps(body))
        self.model.client = None

    async def all_over(self) -> None:
        """Wait until no run is left to do."""

        async def over() -> bool:
            return not await self.server.services.db.read(active)

        await wait_for(over, "the end of all runs")

    async def pack(self) -> None:
        """Pack the events of what ended, without waiting for the time at which that is done."""

        async def packed() -> bool:
            await self.server.engine.owner.fold_ended()
            # What ended before the last death is the sweep's to pack, minutes later: not for that is waited here.
            if left := await self.database.read(events.unpacked, await self.database.read(all_of_them)):
                await self.server.services.log.fold(left)
            return not left

        await wait_for(packed, "all events being packed")


def all_of_them(conn: Connection) -> list[RunId]:
    """Every run there is."""
    return [RunId(row.id) for row in conn.exec_driver_sql("SELECT id FROM runs")]


def active(conn: Connection) -> list[RunId]:
    """The runs that are not over."""
    found = conn.exec_driver_sql("SELECT id FROM runs WHERE completed_at IS NULL")
    return [RunId(row.id) for row in found]


def owned(conn: Connection) -> int:
    """How many runs have an owner or a lease."""
    found = conn.exec_driver_sql(
        "SELECT count(*) FROM runs WHERE owner IS NOT NULL OR lease_until IS NOT NULL"
    )
    return int(found.scalar_one())


@asynccontextmanager
async def stage(folder: Path, plan: Plan) -> AsyncGenerator[Stage]:
    """A running server over the folder, with the story's model and tool."""
    made = _wired(folder, plan)
    async with running(made.server):
        yield made


def _wired(folder: Path, plan: Plan) -> Stage:
    settings = Settings(
        data_dir=folder,
        drain_s=0.0,
        lease_s=plan.lease_s,
        reconcile_s=plan.lease_s / 3,
        sqlite_synchronous=plan.synchronous,
    )
    migrate(settings.database)
    points = Points(plan)
    model = PacedModel(points, plan)
    server = build(settings, gateway=model)
    watched = cast("WatchedDatabase", server.services.db)
    watched.__class__ = WatchedDatabase
    watched.points, watched.refusals = points, folder / "refusals"
    watched.appends, watched.shared = 0, plan.shares
    watched.acknowledged = lambda _name, _args: None
    model.appends = lambda: watched.appends
    points.drain = server.engine.shut_down
    if not plan.tells:
        server.callbacks.deliver_due = _nothing_due
    loop = cast("AgentLoop", cast("CountedExecutor", server.engine.owner._executor)._executor)
    loop._tools._tools[TOOL] = _tool(points, folder / "effects", plan.on_interrupt)
    points.armed = not plan.begins
    return Stage(folder, server, model, points, plan)


async def _nothing_due() -> bool:
    return False


def _tool(points: Points, effects: Path, on_interrupt: OnInterrupt) -> BuiltinTool:
    """A tool with an effect that no transaction takes back: a line in a file, the id of its call."""

    async def run(_arguments: Arguments, context: ToolContext, _db: object) -> ToolOutcome:
        await points.stay("tool, before it acts")
        with effects.open("a") as out:
            out.write(context.call_id + "\n")
        await points.stay("tool, after it acted")
        return ToolOutcome("success", "Found.")

    schema: dict[str, object] = {"type": "object", "properties": {"query": {"type": "string"}}}
    return BuiltinTool(ToolSpec(TOOL, "Searches.", schema, on_interrupt=on_interrupt), run)


def play(folder: Path, plan: Plan) -> None:
    """What a child does: it never returns where its plan has a signal that kills."""
    uvloop.run(_play(folder, plan))


def rehearse(folder: Path) -> None:
    """The story without an engine, whose queue has threads of its own: its one owner is told directly."""
    uvloop.run(_rehearse(folder))


async def _rehearse(folder: Path) -> None:
    made = _wired(folder, Plan())
    services = made.server.services
    await services.db.write(actors.ensure_defaults, services.clock.now())
    async with asyncio.TaskGroup() as group:
        group.create_task(made.begin())
        while not (found := await services.db.read(active)):
            await asyncio.sleep(0)
        await made.server.engine.owner.take(found[0])
    await services.log.close()
    await services.db.close()


async def _play(folder: Path, plan: Plan) -> None:
    async with stage(folder, plan) as s:
        if plan.shares:
            await _lose(s)
            return
        if plan.begins:
            await s.begin()
        await s.all_over()
        if plan.callback_url is not None:
            await s.server.callbacks.deliver_due()
        await s.pack()


async def _lose(s: Stage) -> None:
    """Begin, be stopped, wake up, and end once the run is no longer held. Who reads here waits for what will not come."""
    reading = asyncio.get_running_loop().create_task(s.begin())
    try:
        await wait_until(lambda: s.points.signalled and not s.server.engine.owner.held, "the run being lost")
    finally:
        reading.cancel()
        await asyncio.wait({reading})
