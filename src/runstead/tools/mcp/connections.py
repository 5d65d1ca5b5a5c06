"""Connections to MCP servers: opened when first needed, kept, opened again after a loss. Each process has its own.

Each lives in a task of its own, so that a server that is dead, slow or mad costs nobody but those who ask it. A request that
the server certainly did not see is made again on a new connection, once; one that it may have seen is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, cast

from runstead.domain.mcp_server import McpSecrets, McpServer
from runstead.errors import Unavailable
from runstead.ids import McpServerId
from runstead.tools.mcp.failure import McpFailure, McpLost, McpNotSent
from runstead.tools.mcp.permission import Permission

if TYPE_CHECKING:
    from mcp.client import Client

T = TypeVar("T")


class Connection:
    """One connection, and the task that holds it open."""

    def __init__(self, server: McpServer, idle_s: float) -> None:
        self.server = server
        self._idle_s = idle_s
        # The open connection, or why there is none.
        self._opened: asyncio.Future[Client | str] = asyncio.get_running_loop().create_future()
        self._leave = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._asking = 0
        self._over = False
        self._idle_since = asyncio.get_running_loop().time()
        self._looking: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """Whether a request of it is open, or waits for it."""
        return self._asking > 0

    @property
    def over(self) -> bool:
        """Whether nothing can be asked of it any more."""
        return self._over

    def begin(self, group: asyncio.TaskGroup, wire: Any, secrets: McpSecrets, permission: Permission) -> None:
        """Open it in a task of its own."""
        self._task = group.create_task(self._hold(wire, secrets, permission))

    async def client(self) -> Client:
        """The open connection. Raises `McpFailure` where it cannot be opened."""
        opened = await asyncio.shield(self._opened)
        if isinstance(opened, str):
            raise McpFailure(f"it cannot be connected to: {opened}")
        return opened

    async def ask(self, ask: Callable[[Client], Awaitable[T]]) -> T:
        """One request, `in_use`. Raises `McpFailure`."""
        client = await self.client()
        if self._over:
            raise McpNotSent("the connection was closed.")
        return await ask(client)

    @contextmanager
    def in_use(self) -> Generator[None]:
        """Somebody asks, or waits until it is open: so long it is not idle, however long opening it takes."""
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1
            self._idle_since = asyncio.get_running_loop().time()
            if self._over:
                self.leave()

    def leave(self) -> None:
        """Ask nothing more of it; it is closed when its last request is over."""
        self._over = True
        if not self._asking:
            self._leave.set()

    def give_up(self) -> None:
        """Close it at once, whatever it is doing."""
        self._over = True
        if self._task is not None:
            self._task.cancel()

    async def _hold(self, wire: Any, secrets: McpSecrets, permission: Permission) -> None:
        """Open it, and keep it open until it is left, lost, or idle for too long."""
        error = "it ended."
        try:
            async with wire.connected(self.server, secrets, permission, self.leave) as client:
                self._opened.set_result(client)
                self._look()
                await self._leave.wait()
        except Exception as raised:  # noqa: BLE001 - it becomes what those who ask are told
            error = cast("str", wire.why(raised))
        finally:
            if self._looking is not None:
                self._looking.cancel()
            self.leave()
            if not self._opened.done():
                self._opened.set_result(error)

    def _look(self) -> None:
        """Leave it where nobody asked anything for a while; else look again when that may be."""
        loop = asyncio.get_running_loop()
        left_s = self._idle_since + self._idle_s - loop.time()
        if not self._asking and left_s <= 0:
            self.leave()
            return
        self._looking = loop.call_later(self._idle_s if self._asking else left_s, self._look)


class Connections:
    """All connections of this process, by server."""

    def __init__(self, permission: Permission) -> None:
        self._permission = permission
        self._settings = permission.settings
        self._kept: dict[McpServerId, Connection] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Hold the connections of this process until it is cancelled; then close them, and end the programs."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await asyncio.Event().wait()
        finally:
            self._group = None
            self._kept.clear()

    async def ask(
        self,
        server: McpServer,
        secrets: Callable[[], McpSecrets],
        ask: Callable[[Client], Awaitable[T]],
        *,
        again: bool = False,
    ) -> T:
        """One request to a server, on its kept connection or a new one. Raises `McpFailure`.

        `again`: it does no harm to make the request twice.
        """
        wire = await wire_module()
        while True:
            connection, fresh = self._connection(server, secrets, wire)
            try:
                return await self._within(connection, ask)
            except (McpNotSent, McpLost) as failure:
                self._drop(connection)
                if fresh or not (again or isinstance(failure, McpNotSent)):
                    raise

    async def ask_once(
        self, server: McpServer, secrets: McpSecrets, ask: Callable[[Client], Awaitable[T]]
    ) -> T:
        """One request on a connection that is not kept. Raises `McpFailure`."""
        connection = self._begun(server, secrets, await wire_module())
        try:
            return await self._within(connection, ask)
        finally:
            connection.leave()

    def forget(self, server_id: McpServerId) -> None:
        """Close the connection of a server that is no more, or not as it was."""
        if (kept := self._kept.pop(server_id, None)) is not None:
            kept.leave()

    def _connection(
        self, server: McpServer, secrets: Callable[[], McpSecrets], wire: Any
    ) -> tuple[Connection, bool]:
        """The connection to a server as it is registered now, and whether it is new."""
        kept = self._kept.get(server.id)
        if kept is not None and not kept.over and kept.server == server:
            # What was used last stands last.
            self._kept[server.id] = self._kept.pop(server.id)
            return kept, False
        self.forget(server.id)
        self._make_room()
        new = self._begun(server, secrets(), wire)
        self._kept[server.id] = new
        return new, True

    def _make_room(self) -> None:
        """Leave room for one more connection: those that are over go, then the one that was idle the longest."""
        for server_id in [each for each, kept in self._kept.items() if kept.over]:
            self.forget(server_id)
        if len(self._kept) < self._settings.mcp_connections_max:
            return
        idle = next((each for each, kept in self._kept.items() if not kept.busy), None)
        if idle is None:
            raise McpFailure(
                f"this server has {len(self._kept)} connections to MCP servers, which is its limit, and all are busy."
            )
        self.forget(idle)

    def _begun(self, server: McpServer, secrets: McpSecrets, wire: Any) -> Connection:
        if self._group is None:
            raise Unavailable("The server is starting or stopping; ask again.")
        connection = Connection(server, self._settings.mcp_idle_s)
        connection.begin(self._group, wire, secrets, self._permission)
        return connection

    async def _within(self, connection: Connection, ask: Callable[[Client], Awaitable[T]]) -> T:
        """One request within the limits of time. Raises `McpFailure`."""
        with connection.in_use():
            return await self._in_time(connection, ask)

    async def _in_time(self, connection: Connection, ask: Callable[[Client], Awaitable[T]]) -> T:
        connect_s, call_s = self._settings.mcp_connect_timeout_s, self._settings.mcp_call_timeout_s
        try:
            async with asyncio.timeout(connect_s):
                await connection.client()
        except TimeoutError:
            connection.give_up()
            self._drop(connection)
            raise McpFailure(f"it could not be connected to within {connect_s:g} s.") from None
        except McpFailure:
            self._drop(connection)
            raise
        try:
            async with asyncio.timeout(call_s):
                return await connection.ask(ask)
        except TimeoutError:
            # It may hang for good: the next request finds a new one.
            self._drop(connection)
            raise McpFailure(
                f"it did not answer within {call_s:g} s; what was asked may have taken effect."
            ) from None

    def _drop(self, connection: Connection) -> None:
        if self._kept.get(connection.server.id) is connection:
            del self._kept[connection.server.id]
        connection.leave()


async def wire_module() -> Any:
    """What speaks the protocol; loading it takes a second, so it is loaded when it is first needed."""
    return await asyncio.to_thread(import_module, "runstead.tools.mcp.wire")
