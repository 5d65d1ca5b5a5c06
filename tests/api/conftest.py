"""A whole API over a real store, without an engine: what routes of resources need.

Every answer is held to its declared type.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from sqlalchemy import Connection, update
from tests.template import put_database

from runstead.api.router import answer_of
from runstead.api.server import create_api
from runstead.api.services import Services
from runstead.api.wire.events import encode
from runstead.app import open_here
from runstead.clock import ManualClock
from runstead.domain.actor import User
from runstead.domain.run import RunStatus
from runstead.events.embedded import EmbeddedLog
from runstead.filing import Filing
from runstead.ids import CountingIds, RunId
from runstead.llm.own_providers import OwnProviders
from runstead.llm.types import Delta, EmbeddingInfo, ModelInfo, ModelRequest
from runstead.outward.inward import PROVIDERS, Inward
from runstead.runs.admit import Admission
from runstead.runs.cancel import Cancellation
from runstead.runs.feed import RunFeeds
from runstead.settings import ProviderSettings, Settings
from runstead.store import actors
from runstead.store.schema import runs
from runstead.store.sqlite import SqliteDatabase
from runstead.tools.workshop import open_workshop

DEMO = ModelInfo("runstead/demo", "runstead", "demo", "demo", demo=True)
LARGE = ModelInfo(
    "openai/large", "openai", "chat", "large", "http://127.0.0.1:9/v1", 200_000, 8_000, images=True
)
EMBEDDER = EmbeddingInfo("openai/embed", "openai", "embed", "http://127.0.0.1:9/v1", 768)


class FixedGateway:
    """A gateway with two models, that nobody asks anything."""

    def model(self, handle: str) -> ModelInfo | None:
        return {model.handle: model for model in (DEMO, LARGE)}.get(handle)

    async def models(self) -> Sequence[ModelInfo]:
        return [LARGE, DEMO]

    async def embeddings(self) -> Sequence[EmbeddingInfo]:
        return [EMBEDDER]

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        raise AssertionError(f"no test asks {request.model}")
        yield  # it is a generator

    async def close(self) -> None:
        return


class RecordingCancellation(Cancellation):
    """Writes down which runs were to end, and lets them; `works` False: they go on."""

    def __init__(self, db: SqliteDatabase, log: EmbeddedLog, clock: ManualClock) -> None:
        super().__init__(db, log, clock, CountingIds(), _NobodyStops())
        self.asked: list[str] = []
        self.works = True
        self._database = db

    async def cancel_runs(self, user: User, run_ids: Sequence[str]) -> dict[str, str]:
        self.asked += run_ids
        if self.works:
            await self._database.write(_end, run_ids)
        return dict.fromkeys(run_ids, "cancelled")


class _NobodyStops:
    async def stop(self, run_id: RunId, *, force: bool) -> None:
        raise AssertionError(f"nothing runs here, but {run_id} was to stop (force={force})")


@dataclass(slots=True)
class SwitchedLifecycle:
    """A server that stops when told."""

    stopping: bool = False


@dataclass(slots=True)
class Api:
    """A served API: a client of it, and the parts behind it."""

    client: httpx.AsyncClient
    app: FastAPI
    db: SqliteDatabase
    clock: ManualClock
    ids: CountingIds
    cancellation: RecordingCancellation
    folder: Path
    filing: Filing
    lifecycle: SwitchedLifecycle = field(default_factory=SwitchedLifecycle)

    async def json(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """Ask, hold the answer to its declared type, and give its JSON."""
        answer = await self.client.request(method, path, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        if status == 200:
            _hold(self.app, method, answer)
        return answer.json()

    async def agent(self, **fields: Any) -> dict[str, Any]:
        """Make an agent, a second after the last."""
        self.clock.advance(1)
        return await self.json("POST", "/v1/agents/", json={"model": "runstead/demo", **fields})

    async def block(self, label: str = "human", value: str = "", **fields: Any) -> dict[str, Any]:
        """Make a block, a second after the last."""
        self.clock.advance(1)
        body = {"label": label, "value": value, **fields}
        return await self.json("POST", "/v1/blocks/", json=body)


class Serving(Protocol):
    """Serve the API with these settings."""

    def __call__(self, **settings: Any) -> AbstractAsyncContextManager[Api]: ...


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """How to serve an API of one's own."""

    @asynccontextmanager
    async def serve(**given: Any) -> AsyncGenerator[Api]:
        openai = ProviderSettings("openai", "chat", "http://127.0.0.1:9/v1")
        settings = replace(Settings(providers=(openai,), data_dir=tmp_path), **given)
        db, clock, ids = SqliteDatabase(put_database(tmp_path / "api.db")), ManualClock(), CountingIds()
        await db.write(actors.ensure_defaults, clock.now())
        log = EmbeddedLog(db, encode)
        lifecycle = SwitchedLifecycle()
        cancellation = RecordingCancellation(db, log, clock)
        admission = Admission(
            db, clock, ids, log, encode, _nothing, lambda: lifecycle.stopping, end_soon=cancellation.end_soon
        )
        workshop = open_workshop(settings, db)
        feeds = RunFeeds(db, clock)
        inward = Inward(settings.provider_allow_hosts, PROVIDERS, open_here(settings, db))
        own = OwnProviders(db, workshop.vault, inward.reach)
        parts = (settings, clock, ids, db, log, FixedGateway(), admission, cancellation, lifecycle)
        filing = Filing(db, workshop.reader, workshop.memory, clock)
        app = create_api(Services(*parts, feeds, workshop, own, filing))
        transport = httpx.ASGITransport(app=app)
        agent = {"user-agent": "test"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers=agent
        ) as client:
            yield Api(client, app, db, clock, ids, cancellation, tmp_path, filing, lifecycle)
        await log.close()
        await db.close()

    return serve


@pytest.fixture
async def api(serving: Serving) -> AsyncIterator[Api]:
    """An API that is open, as on one's own machine."""
    async with serving() as served:
        yield served


async def _nothing(_run_id: RunId) -> None:
    return


def _end(conn: Connection, run_ids: Sequence[str]) -> None:
    conn.execute(update(runs).where(runs.c.id.in_(run_ids)).values(status=RunStatus.CANCELLED.value))


def _hold(app: FastAPI, method: str, answer: httpx.Response) -> None:
    """The document must not lie: an answer has the fields of its declared type, no more and no fewer."""
    path = answer.request.url.path.replace("/latest/", "/v1/")
    for route in app.routes:
        if isinstance(route, APIRoute) and method in (route.methods or ()) and route.path_regex.match(path):
            declared = answer_of(route.endpoint)
            assert declared is not None, f"{route.path} declares no answer"
            adapter = _adapter(declared)
            value = adapter.validate_json(answer.content)
            assert _shape(adapter.dump_python(value, mode="json")) == _shape(answer.json())
            return
    raise AssertionError(f"no route for {method} {path}")


@cache
def _adapter(declared: object) -> TypeAdapter[Any]:
    return TypeAdapter(cast("Any", declared))


def _shape(value: object) -> object:
    """The names in a document, without its values."""
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return {name: _shape(members[name]) for name in sorted(members)}
    if isinstance(value, list):
        return [_shape(each) for each in cast("list[object]", value)]
    return None
