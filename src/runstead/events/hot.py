"""Redis as the hot log: one stream a run, an entry an event, and the entry's id is the event's number.

So a second writer of a number is refused by Redis itself, and a cursor is a seek. Beside each stream stands a small hash
with the epoch of its writer and its newest number; a script compares both before it appends, so that an owner that lost its
run writes nothing. Nothing here is needed to finish a run: whoever cannot reach Redis is told `Unavailable`, and `up` says
whether it is worth asking. Redis is written to once a second by `run`: one that answers but takes nothing is down.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from runstead.errors import StaleEpoch, Unavailable
from runstead.events.log import Append, Entry
from runstead.ids import RunId
from runstead.telemetry import log
from runstead.telemetry.chore import came

TIMEOUT_S = 2.0
HEALTH_EVERY_S = 1.0
CONNECTIONS_MAX = 16
BLOCK_MS = 1000
ENTRIES_PER_READ_MAX = 2000
# A stream outlives the last sign of its writer by so long, and the end of its run by so long.
LIVE_TTL_S = 3600
OVER_TTL_S = 60
# Entries that are in the store too stay for so many numbers, for readers that are only a little behind.
KEPT_ENTRIES = 256

_APPEND = """
local state = redis.call('HMGET', KEYS[2], 'e', 'n')
local epoch, first = tonumber(ARGV[1]), tonumber(ARGV[2])
if ARGV[3] == '1' then
  if state[1] and tonumber(state[1]) > epoch then return {2, tonumber(state[1])} end
  redis.call('DEL', KEYS[1])
else
  if not state[1] or tonumber(state[1]) < epoch then return {1, 0} end
  if tonumber(state[1]) > epoch then return {2, tonumber(state[1])} end
  if not state[2] or tonumber(state[2]) ~= first - 1 then return {1, tonumber(state[2] or '0')} end
end
for i = 6, #ARGV do
  redis.call('XADD', KEYS[1], string.format('%d-0', first), 'd', ARGV[i])
  first = first + 1
end
if tonumber(ARGV[4]) > 0 then redis.call('XTRIM', KEYS[1], 'MINID', string.format('%d-0', tonumber(ARGV[4]))) end
redis.call('HSET', KEYS[2], 'e', ARGV[1], 'n', string.format('%d', first - 1))
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[5])
return {0, first - 1}
"""
_TAKE = """
local state = redis.call('HMGET', KEYS[2], 'e', 'n')
if state[1] and tonumber(state[1]) > tonumber(ARGV[1]) then return {2, tonumber(state[1])} end
redis.call('HSET', KEYS[2], 'e', ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[3])
if state[2] then return {0, tonumber(state[2])} end
if ARGV[4] == '1' then redis.call('HSET', KEYS[2], 'n', ARGV[2]) end
return {1, tonumber(ARGV[2])}
"""
_DONE, _LOST, _STALE = 0, 1, 2
# The event loop says RuntimeError of a connection that goes while it is written to.
_TROUBLE = (RedisError, OSError, TimeoutError, RuntimeError)

_log = log("events")


class HotStreams:
    """The streams of live runs in one Redis."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self.id: str | None = None
        self.on_lost: Callable[[], None] | None = None
        self._url = url
        self._timeout_s = timeout_s
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = self._client(self._pool)
        self._append = self._redis.register_script(_APPEND)
        self._take = self._redis.register_script(_TAKE)
        self._changed = asyncio.Event()
        self._reading_as: int | None = None
        self._loaded_by: str | None = None
        self._closed = False

    @property
    def up(self) -> bool:
        """Whether Redis took what it was last given."""
        return self.id is not None

    @property
    def place(self) -> str:
        """Host and port, as they may be shown."""
        parts = urlsplit(self._url)
        return f"{parts.hostname or 'localhost'}:{parts.port or 6379}"

    async def run(self) -> None:
        """Look after Redis for ever: whether it is there, takes what it is given, and is still the same."""
        while True:
            was = self.id
            try:
                await self.look()
            except Unavailable as error:
                if was is not None:
                    _log.warning("redis is lost", error=error.detail)
            if was is None and self.up:
                _log.info("redis is there", place=self.place)
            self._changed.clear()
            if await came(self._changed, HEALTH_EVERY_S):
                await asyncio.sleep(HEALTH_EVERY_S / 4)  # it was just lost: not at once again

    async def look(self) -> None:
        """Ask Redis who it is and give it something to keep. Raises `Unavailable`."""
        async with self._asking():
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.set("runstead:alive", b"1", ex=LIVE_TTL_S)
            pipeline.info("server")
            found = await pipeline.execute()
            self.id = str(cast("Mapping[str, object]", found[1])["run_id"])

    async def append(self, batch: Sequence[Append]) -> list[bool | StaleEpoch]:
        """Add events of several runs in one go. Per run: True, it is done; False, its stream must be begun anew; or
        `StaleEpoch`, as a value, where it has a newer owner.
        """
        async with self._asking():
            await self._load()
            pipeline = self._redis.pipeline(transaction=False)
            for each in batch:
                self._append_one(pipeline, each)
            found = await pipeline.execute()
        return [StaleEpoch() if code == _STALE else code == _DONE for code, _ in found]

    async def take(self, run_id: RunId, epoch: int, stored_seq: int, *, begin: bool = True) -> int | None:
        """Be the only writer of a run's stream: its newest number; None where there was none.

        With `begin` one is begun after `stored_seq` then; without, who asks next is told None too, until the first append
        anew. Raises `StaleEpoch` where it has a newer owner.
        """
        async with self._asking():
            code, last_seq = await self._take(
                keys=_keys(run_id), args=[epoch, stored_seq, LIVE_TTL_S, int(begin)]
            )
        if code == _STALE:
            raise StaleEpoch
        return None if code == _LOST else int(last_seq)

    async def range(self, run_id: RunId, after: int) -> list[Entry]:
        """The events after a number that the stream has, a bounded number."""
        async with self._asking():
            stream = _keys(run_id)[0]
            found = await cast("Any", self._redis).execute_command(
                "XRANGE", stream, f"{after + 1}-0", "+", "COUNT", ENTRIES_PER_READ_MAX
            )
        return _entries(found)

    async def follow(self, places: Mapping[RunId, int], client: Redis) -> dict[RunId, list[Entry]]:
        """Wait for events after each run's place, of whichever run has some first. Empty after a while without any."""
        async with self._asking():
            streams = [_keys(run_id)[0] for run_id in places]
            cursors = [f"{seq}-0" for seq in places.values()]
            found = await cast("Any", client).execute_command(
                "XREAD", "COUNT", ENTRIES_PER_READ_MAX, "BLOCK", BLOCK_MS, "STREAMS", *streams, *cursors
            )
        return {_run_of(stream): _entries(entries) for stream, entries in found or ()}

    @asynccontextmanager
    async def following(self) -> AsyncGenerator[Redis]:
        """A connection to follow by, of its own: whoever waits on it can be woken by `wake`."""
        client = self._client(
            BlockingConnectionPool.from_url(
                self._url,
                max_connections=1,
                socket_timeout=self._timeout_s + BLOCK_MS / 1000,
                socket_connect_timeout=self._timeout_s,
                protocol=2,
                retry=Retry(NoBackoff(), 0),
            ),
            single=True,
        )
        try:
            async with self._asking():
                self._reading_as = int(await client.client_id())
            yield client
        finally:
            self._reading_as = None
            with suppress(*_TROUBLE):  # it is let go of, however that ends
                await client.aclose(close_connection_pool=True)

    async def wake(self) -> None:
        """End the waiting of `follow`, so that it asks anew."""
        if self._reading_as is not None:
            async with self._asking():
                await self._redis.client_unblock(self._reading_as)

    async def size_bytes(self) -> int:
        """How much memory Redis uses. Raises `Unavailable`."""
        async with self._asking():
            found = cast("Mapping[str, Any]", await self._redis.info("memory"))
        return int(found["used_memory"])

    async def tell(self, channel: str, text: str) -> None:
        """Tell every process that listens on a channel. Raises `Unavailable`."""
        async with self._asking():
            await self._redis.publish(channel, text)

    async def listen(self, channel: str) -> AsyncGenerator[str]:
        """What is told on a channel, for ever; what is told while Redis is away is missed."""
        while True:
            try:
                async with cast("Any", self._redis.pubsub()) as hearing:
                    await hearing.subscribe(channel)
                    while True:
                        told = await hearing.get_message(
                            ignore_subscribe_messages=True, timeout=HEALTH_EVERY_S
                        )
                        if told is not None:
                            yield cast("bytes", told["data"]).decode()
            except _TROUBLE:
                await asyncio.sleep(HEALTH_EVERY_S)

    async def close(self) -> None:
        """Let go of every connection. Nothing is asked from now on."""
        self._closed = True
        with suppress(*_TROUBLE):  # a Redis that hangs keeps nobody from stopping
            await self._redis.aclose(close_connection_pool=True)
            await self._pool.disconnect()

    def lost(self) -> None:
        """Redis does not do what it is asked: nothing is asked of it until it is seen to."""
        was, self.id = self.id, None
        self._changed.set()
        if was is not None and self.on_lost is not None:
            self.on_lost()

    def _client(self, pool: BlockingConnectionPool, *, single: bool = False) -> Redis:
        client = Redis(connection_pool=pool, single_connection_client=single)
        for command in ("XREAD", "XRANGE"):
            client.set_response_callback(command, _as_it_came)
        return client

    async def _load(self) -> None:
        """Scripts are sent with the first call after a start of Redis; a pipeline cannot fall back by itself."""
        if self._loaded_by != self.id or self.id is None:
            await self._redis.script_load(_APPEND)
            self._loaded_by = self.id

    def _append_one(self, pipeline: Any, each: Append) -> None:
        trim = each.stored_seq - KEPT_ENTRIES
        head = (
            each.epoch,
            each.entries[0].seq,
            int(each.anew),
            trim,
            OVER_TTL_S if each.over else LIVE_TTL_S,
        )
        lines = [b"%b%b" % (entry.kind.encode(), entry.data) for entry in each.entries]
        pipeline.evalsha(self._append.sha, 2, *_keys(each.run_id), *head, *lines)

    @asynccontextmanager
    async def _asking(self) -> AsyncGenerator[None]:
        """Whatever goes wrong with Redis is `Unavailable`, and Redis is taken for lost."""
        try:
            yield
        except (*_TROUBLE, AttributeError) as error:
            # The library finds no writer, an AttributeError, where its pool is closed while it connects.
            if isinstance(error, AttributeError) and not self._closed:
                raise
            self.lost()
            raise Unavailable(f"Redis at {self.place} cannot be used ({type(error).__name__}).") from error


def _keys(run_id: RunId) -> tuple[str, str]:
    """The stream of a run and the hash beside it; on a cluster both live in one slot."""
    return f"runstead:{{{run_id}}}:events", f"runstead:{{{run_id}}}:writer"


def _run_of(stream: bytes) -> RunId:
    return RunId(stream[stream.index(b"{") + 1 : stream.index(b"}")].decode())


def _entries(found: Any) -> list[Entry]:
    return [Entry.of_line(int(key[: key.index(b"-")]), fields[1]) for key, fields in found]


def _as_it_came(response: Any, **_options: object) -> Any:
    return response
