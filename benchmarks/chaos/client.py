"""One client: it starts runs and follows them, drops the connection when it likes, and comes back at another process.

It keeps every event that it was given, with its number, and judges nothing.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from random import Random

from benchmarks.chaos.tale import BLOCK, BLOCK_CHARS_MAX, TOOLS, Tale, tale
from benchmarks.chaos.wire import Answer, Lost, asked

PAUSE_S = 0.1
# The server says `retry: 1000`; these clients are a little less patient.
COME_BACK_S = 0.5
RUNS_PER_AGENT_MAX = 2
BODY_SHOWN = 2000
# How often a client drops a connection that works, comes back with its key, has a second reader beside it.
DROPS, ASKS_TWICE, WATCHES = 0.6, 0.15, 0.5


@dataclass(slots=True)
class Got:
    """One event as it was given."""

    seq: int
    data: bytes
    process: int


@dataclass(slots=True)
class Following:
    """One reader of one run."""

    name: str
    got: list[Got] = field(default_factory=list[Got])
    attached: list[int] = field(default_factory=list[int])
    done: bool = False
    sent_away: int = 0

    @property
    def cursor(self) -> int:
        """The number that it comes back with."""
        return self.got[-1].seq if self.got else 0

    async def take_all(self, chunks: AsyncIterator[bytes], process: int, *, until: float = math.inf) -> None:
        """Keep every event of a response, to its end or to a time (monotonic)."""
        rest = b""
        async for chunk in chunks:
            *frames, rest = (rest + chunk).split(b"\n\n")
            for frame in frames:
                self._note(frame, process)
            if self.done or time.monotonic() > until:
                return
        self.sent_away += not self.done

    def _note(self, frame: bytes, process: int) -> None:
        """Keep an event of the log; what only keeps a silent connection alive has no number."""
        seq = 0
        for line in frame.split(b"\n"):
            if line.startswith(b"id: "):
                seq = int(line[4:])
            elif line == b"data: [DONE]":
                self.done = True
            elif line.startswith(b"data: ") and seq:
                self.got.append(Got(seq, line[6:], process))


@dataclass(slots=True)
class Sent:
    """One request for a run, and what came of it. `troubles` are answers that nobody should get."""

    tale: Tale
    agent_id: str
    run_id: str | None = None
    followings: list[Following] = field(default_factory=list[Following])
    troubles: list[str] = field(default_factory=list[str])


class Client:
    """One client of a cluster whose processes listen on `ports`."""

    def __init__(self, seed: int, number: int, ports: Sequence[int]) -> None:
        self.sent: list[Sent] = []
        self.troubles: list[str] = []
        self.refused = 0
        self._name = f"k{number}"
        self._random = Random(f"client {seed} {number}")
        self._ports = ports

    async def work(self, until: float) -> None:
        """Start runs and follow them to their ends; nothing new once the time (monotonic) has come."""
        count = 0
        while time.monotonic() < until:
            agent_id = await self._agent()
            some = self._random.randint(1, RUNS_PER_AGENT_MAX)
            tales = [tale(self._random, f"{self._name}-{count + n}") for n in range(some)]
            count += some
            async with asyncio.TaskGroup() as group:
                for each in tales:
                    sent = Sent(each, agent_id)
                    self.sent.append(sent)
                    group.create_task(self._run(sent))

    async def _agent(self) -> str:
        """A new agent with a block to write in and tools to do it."""
        body = {
            "name": self._name,
            "model": "openai/story",
            "include_base_tools": False,
            "tools": list(TOOLS),
            "memory_blocks": [{"label": BLOCK, "value": "", "limit": BLOCK_CHARS_MAX}],
        }
        while True:
            process = self._somewhere()
            try:
                async with asked(self._ports[process], "POST", "/v1/agents/", body) as answer:
                    if answer.status == 200:
                        return str(json.loads(await answer.body())["id"])
                    await self._turned_away(answer, process, self.troubles)
            except Lost:
                await asyncio.sleep(PAUSE_S)

    async def _run(self, sent: Sent) -> None:
        """Have it admitted, follow it; sometimes ask for it again, or with a second reader from another process."""
        following = Following("sender")
        sent.followings.append(following)
        await self._admitted(sent, following)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(sent, following))
            if self._random.random() < WATCHES:
                watching = Following("watcher")
                sent.followings.append(watching)
                group.create_task(self._follow(sent, watching))
            if self._random.random() < ASKS_TWICE:
                group.create_task(self._ask_again(sent))

    async def _admitted(self, sent: Sent, following: Following) -> None:
        while sent.run_id is None:
            process = self._somewhere()
            try:
                async with self._asked(sent, process) as answer:
                    if answer.status == 200:
                        sent.run_id = answer.head.headers["x-run-id"]
                        await self._take(following, answer, process)
                    else:
                        await self._turned_away(answer, process, sent.troubles)
            except Lost:
                await asyncio.sleep(PAUSE_S)

    def _asked(self, sent: Sent, process: int) -> AbstractAsyncContextManager[Answer]:
        body = {
            "messages": [{"role": "user", "content": sent.tale.message}],
            "background": True,
            "stream_tokens": True,
            "include_pings": True,
        }
        return asked(
            self._ports[process],
            "POST",
            f"/v1/agents/{sent.agent_id}/messages/stream",
            body,
            {"idempotency-key": sent.tale.key},
        )

    async def _ask_again(self, sent: Sent) -> None:
        """The same key elsewhere, as a client does that never learned what became of its request."""
        await asyncio.sleep(self._random.uniform(0.0, 1.0))
        process = self._somewhere()
        try:
            async with self._asked(sent, process) as answer:
                if answer.status != 200:
                    await self._turned_away(answer, process, sent.troubles)
                elif (other := answer.head.headers["x-run-id"]) != sent.run_id:
                    sent.troubles.append(f"the key {sent.tale.key} made {sent.run_id} and {other}")
        except Lost:
            return

    async def _follow(self, sent: Sent, following: Following) -> None:
        """Follow the run to its end, from wherever it was left, at whichever process is there."""
        while not following.done:
            process = self._somewhere()
            body = {"starting_after": following.cursor, "include_pings": True}
            try:
                async with asked(
                    self._ports[process], "POST", f"/v1/runs/{sent.run_id}/stream", body
                ) as answer:
                    if answer.status == 200:
                        await self._take(following, answer, process)
                    else:
                        await self._turned_away(answer, process, sent.troubles)
            except Lost:
                await asyncio.sleep(PAUSE_S)

    async def _take(self, following: Following, answer: Answer, process: int) -> None:
        """Read events until the end, or until this client has had enough of this connection."""
        following.attached.append(process)
        drops = self._random.random() < DROPS
        enough = time.monotonic() + self._random.uniform(0.0, 2.5) if drops else math.inf
        before = following.sent_away
        await following.take_all(answer.chunks(), process, until=enough)
        if following.sent_away > before:
            await asyncio.sleep(COME_BACK_S)

    async def _turned_away(self, answer: Answer, process: int, troubles: list[str]) -> None:
        """503 that says when to come again is an answer that a client must live with; any other is written down."""
        self.refused += 1
        if answer.status != 503 or not answer.head.headers.get("retry-after", "").isdigit():
            body = b"(lost)"
            with suppress(Lost):
                body = await answer.body()
            told = body.decode(errors="replace")[:BODY_SHOWN]
            troubles.append(f"process {process} answered {answer.status} {dict(answer.head.headers)} {told}")
        await asyncio.sleep(PAUSE_S)

    def _somewhere(self) -> int:
        return self._random.randrange(len(self._ports))
