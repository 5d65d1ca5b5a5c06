"""Whatever happens around questions, in whatever order: nobody is stuck, no call is run twice, every question is explained.

Requests over parallel calls (for a person, the server or the client), answers in both forms, contradicting and repeated
ones, expiry, cancels, deletions, messages of every policy, and deaths of the process, against a whole server on real data.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from json import dumps
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.world import Json, World, wait_for, world

from runstead.clock import ManualClock
from runstead.domain.message import Mark, Message, Role
from runstead.ids import DEFAULT_USER, AgentId
from runstead.llm.scripted import ScriptedGateway, Turn, says
from runstead.llm.types import CallDelta, Finish, ModelRequest
from runstead.loop.hold import Interrupt
from runstead.settings import Settings
from runstead.store import messages
from runstead.store.messages import MessageFilter, MessagePage

EXPIRES_S = 3600.0
SETTINGS = Settings(drain_s=0.0, reconcile_s=0.02, approval_expires_s=EXPIRES_S)
# A person must approve the one, the server runs the other, the client has the third.
TOOLS = {"guarded": "memory_insert", "free": "core_memory_append", "client": "pick"}
CLIENTS = {"name": "pick", "parameters": {"type": "object", "properties": {}}}
EXAMPLES = 25
ACTIONS_MAX = 10
PATIENCE_S = 60.0
# What may be answered at all: taken, not fitting, or too late. Anything else is a fault of the server.
ANSWERED = {200, 400, 404, 409}


@dataclass(frozen=True, slots=True)
class Ask:
    """Make the model call these kinds of tools at once; and wait until it asks, or go on at once."""

    kinds: tuple[str, ...]
    waits: bool


@dataclass(frozen=True, slots=True)
class Say:
    """Say something that asks for no tool."""

    policy: str


@dataclass(frozen=True, slots=True)
class Decide:
    """Answer what waits: by call, or (`older`) all calls alike; and `then` wait for what comes of it, or cut it off."""

    verdicts: tuple[bool, bool, bool]
    older: bool
    then: str


@dataclass(frozen=True, slots=True)
class Do:
    """Something without particulars."""

    what: str


Action = Ask | Say | Decide | Do
KINDS = st.lists(st.sampled_from(sorted(TOOLS)), min_size=1, max_size=3).map(tuple)
DECISIONS = st.builds(
    Decide,
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.booleans(),
    st.sampled_from(["settle", "cancel", "crash", "go on"]),
)
PLAIN = ("settle", "expire", "cancel", "delete", "repeat", "contradict", "crash")
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.builds(Ask, KINDS, st.booleans()),
    DECISIONS,
    DECISIONS,
    st.builds(Say, st.sampled_from(["wait", "refuse", "interrupt"])),
    *(st.just(Do(what)) for what in PLAIN),
)


@dataclass
class Play:
    """One agent, what was sent to it, and the server that is told what to do."""

    folder: Path
    clock: ManualClock = field(default_factory=ManualClock)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    asked: int = 0
    agent: str = ""
    last: Json | None = None
    taken: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    w: World = field(init=False)

    async def open(self) -> None:
        """A new process on what is there."""
        gateway = ScriptedGateway(model)
        self.w = await self.stack.enter_async_context(
            world(self.folder, gateway, settings=SETTINGS, clock=self.clock)
        )

    async def crash(self) -> None:
        """The process dies with its hands full: nothing is handed over, nothing more is written."""
        owner = self.w.server.engine.owner
        for hold in list(owner._holds.values()):
            hold.journal.lose()
            hold.interrupt(Interrupt.LOST)
        await self.stack.aclose()
        await self.open()

    async def post(self, body: Json) -> httpx.Response:
        """Send something without waiting for what comes of it."""
        sent = {"client_tools": [CLIENTS], **body}
        return await self.w.client.post(f"/v1/agents/{self.agent}/messages/async", json=sent)

    async def act(self, action: Action) -> None:
        """Do one thing; the server may refuse it, but only in words."""
        match action:
            case Ask():
                self.asked += 1
                names = " ".join(f"{kind}-{self.asked}-{n}" for n, kind in enumerate(action.kinds))
                told = await self.post({"messages": [{"role": "user", "content": f"call {names}"}]})
            case Say():
                body = {"messages": [{"role": "user", "content": "hello"}], "busy_policy": action.policy}
                told = await self.post(body)
                assert action.policy != "interrupt" or told.status_code == 200, told.text
            case Decide():
                told = await self.decide(action)
            case Do():
                told = await self.do(action.what)
        assert told is None or told.status_code in ANSWERED, (action, told.status_code, told.text)
        if isinstance(action, Decide) and action.then != "go on":
            await self.do(action.then)
        elif isinstance(action, Ask) and action.waits:
            await self.settle()

    async def do(self, what: str) -> httpx.Response | None:
        """One of the things without particulars."""
        if what == "settle":
            await self.settle()
        elif what == "expire":
            self.clock.advance(EXPIRES_S)
        elif what == "crash":
            await self.crash()
        elif what == "cancel":
            return await self.w.client.post(f"/v1/agents/{self.agent}/messages/cancel")
        elif what == "delete":
            for run in (await self.w.get("/v1/runs/?asking=true"))[:1]:
                return await self.w.client.delete(f"/v1/runs/{run['id']}")
        elif self.last is not None:
            return await self.again(self.last, same=what == "repeat")
        return None

    async def decide(self, how: Decide) -> httpx.Response | None:
        """Answer what waits now, as far as anything does."""
        pending = (await self.w.get(f"/v1/agents/{self.agent}?include=agent.pending_approval"))[
            "pending_approval"
        ]
        if pending is None:
            return None
        calls = [each["tool_call_id"] for each in pending["tool_calls"]]
        item: Json = {"type": "approval", "approval_request_id": pending["id"], "approve": how.verdicts[0]}
        if not how.older or any(call.startswith("client") for call in calls):
            item = {"type": "approval", "approvals": [_item(c, v) for c, v in zip(calls, how.verdicts)]}
        self.last = {"request": pending["id"], "message": item}
        return await self.again(self.last, same=True)

    async def again(self, last: Json, *, same: bool) -> httpx.Response:
        """Send an answer; a repeated one never makes a second run."""
        told = await self.post({"messages": [last["message"] if same else _opposite(last["message"])]})
        if told.status_code == 200:
            self.taken.setdefault(last["request"], set()).add(told.json()["id"])
        return told

    async def settle(self) -> None:
        """Wait until nobody works and nothing is overdue."""

        async def quiet() -> bool:
            asking = await self.w.get("/v1/runs/?asking=true")
            late = [r for r in asking if datetime.fromisoformat(r["asks"]["expires_at"]) <= self.clock.now()]
            return not late and not await self.w.get("/v1/runs/active")

        await wait_for(quiet, "the end of everything that is under way", PATIENCE_S)
        assert len(await self.w.get("/v1/runs/?asking=true")) <= 1, "one history, one question"

    async def end(self) -> None:
        """Let everything come to its end, and hold the promises."""
        await self.settle()
        self.clock.advance(EXPIRES_S)
        await self.settle()
        await self.is_free()
        block = await self.w.get(f"/v1/agents/{self.agent}/core-memory/blocks/human")
        where, page = MessageFilter(agent_id=AgentId(self.agent)), MessagePage(limit=10_000)
        db = self.w.server.services.db
        said = await db.read(messages.list_messages, DEFAULT_USER, where, page)
        hold_promises([m for m in said if m.mark is not Mark.ABANDONED], block["value"])
        assert all(len(made) == 1 for made in self.taken.values()), "an answer makes one run"

    async def is_free(self) -> None:
        """Never stuck: nothing waits, and a message is answered."""
        assert [] == await self.w.get("/v1/runs/?asking=true")
        said = await self.w.say(self.agent, "hello")
        assert 200 == said.status_code, said.text
        assert "Hello." == said.json()["messages"][-1]["content"]


def hold_promises(said: Sequence[Message], block: str) -> None:
    """Of every question in a transcript: it is explained, once; of every call: it was run at most once, and as decided."""
    returns = Counter(m.tool_return.call_id for m in said if m.tool_return is not None)
    succeeded = {m.tool_return.call_id for m in said if m.tool_return and m.tool_return.status == "success"}
    answers = [m for m in said if m.role is Role.APPROVAL]
    decided = {d.call_id: d.approve for m in answers for d in m.decisions}
    brought = {each.call_id for m in answers for each in m.client_returns}
    requests = [m for m in said if m.role is Role.ASSISTANT and m.tool_calls]
    for request in requests:
        explained = [m for m in answers if m.answers == request.id]
        assert len(explained) == request.awaits_approval, "a question is answered once, and says by what"
        for call in request.tool_calls:
            kind, ran = call.id.split("-")[0], block.count(f"<{call.id}>")
            assert returns[call.id] == 1, f"{call.id} has one return"
            assert ran == (call.id in succeeded and kind != "client"), f"{call.id} is run as its return says"
            if call.waits:
                assert call.id in decided or call.id in brought, f"somebody answered for {call.id}"
            if kind == "guarded" and ran:
                assert decided[call.id], f"{call.id} was approved"
    assert set(returns) <= {call.id for m in requests for call in m.tool_calls}, "no return without its call"


def model(request: ModelRequest) -> Turn:
    """Calls what the newest message names, and is content with whatever comes back."""
    newest = request.messages[-1]
    if newest.role is not Role.USER or not newest.text.startswith("call "):
        return says("Hello." if newest.role is Role.USER else "Done.")
    made: list[CallDelta] = []
    for index, call_id in enumerate(newest.text.split()[1:]):
        kind = call_id.split("-")[0]
        told = {"guarded": "new_str", "free": "content", "client": "x"}[kind]
        made.append(CallDelta(index, call_id, TOOLS[kind], dumps({"label": "human", told: f"<{call_id}>"})))
    return [*made, Finish("tool_calls")]


def _item(call_id: str, approve: bool) -> Json:
    if call_id.startswith("client"):
        return {"type": "tool", "tool_call_id": call_id, "tool_return": str(approve), "status": "success"}
    return {"type": "approval", "tool_call_id": call_id, "approve": approve, "reason": "so it is"}


def _opposite(message: Json) -> Json:
    if "approvals" not in message:
        return {**message, "approve": not message["approve"]}
    turned = [{**e, "approve": not e["approve"]} if "approve" in e else e for e in message["approvals"]]
    return {**message, "approvals": turned}


async def play(folder: Path, actions: Sequence[Action]) -> None:
    """Do all of it, then look."""
    it = Play(folder)
    async with it.stack:
        await it.open()
        rules = [{"type": "requires_approval", "tool_name": TOOLS["guarded"]}]
        tools = [TOOLS["guarded"], TOOLS["free"]]
        it.agent = await it.w.agent(include_base_tools=False, tools=tools, tool_rules=rules)
        for action in actions:
            await it.act(action)
        await it.end()
        await it.stack.aclose()


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ACTIONS, min_size=2, max_size=ACTIONS_MAX))
def test_never_stuck_never_twice_always_explained(actions: list[Action]) -> None:
    """Every run of actions begins with a question, so that there is something to be decided."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), [Ask(("guarded", "free"), waits=True), *actions]))
