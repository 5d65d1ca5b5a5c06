"""What holds for every request before any route is looked for."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs
from tests.api.conftest import Api, Serving
from tests.world import wait_until

from runstead.api.middleware import Edge
from runstead.app import _Http


async def _chunks(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


async def test_latest_stands_for_v1(api: Api) -> None:
    agent = await api.agent()
    assert (await api.json("GET", f"/latest/agents/{agent['id']}"))["id"] == agent["id"]


async def test_bodies_over_the_limit_are_refused_declared_or_not(serving: Serving) -> None:
    async with serving(body_bytes_max=1000) as api:
        refused = await api.json("POST", "/v1/blocks/", 413, content=b"x" * 1001)
        assert refused == {"detail": "The body is larger than 1000 bytes (RUNSTEAD_BODY_BYTES_MAX)."}
        assert await api.json("POST", "/v1/blocks/", 413, content=_chunks(5, 500)) == refused
        huge = {"content-length": "9" * 5000}
        await api.json("POST", "/v1/blocks/", 413, content=b"x", headers=huge)
        await api.block("small", "x" * 500)


async def test_what_nobody_expected_is_a_plain_500_and_a_traceback_in_the_log() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("secret of the house")

    transport = httpx.ASGITransport(app=Edge(broken, 1000))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        with capture_logs() as logged:
            answer = await client.get("/v1/agents/")
    assert answer.status_code == 500
    assert answer.json() == {"detail": "An internal server error occurred"}
    (line,) = logged
    assert (line["event"], line["log_level"], line["path"]) == ("request failed", "error", "/v1/agents/")
    assert line["exc_info"]


async def test_a_failure_in_mid_answer_breaks_the_answer() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("too late")

    transport = httpx.ASGITransport(app=Edge(broken, 1000))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        with pytest.raises(RuntimeError):
            await client.get("/")


async def test_a_request_that_a_stop_cuts_off_is_told_to_come_again() -> None:
    """The store does not answer and the time to stop is over: whoever cancels the request then, its client hears 503."""
    sent: list[Message] = []
    under_way = asyncio.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        under_way.set()
        await asyncio.Event().wait()

    async def keep(message: Message) -> None:
        sent.append(message)

    async def nothing() -> Message:
        return {"type": "http.request"}

    for stopping in (True, False):
        under_way.clear()
        edge = Edge(waiting, 1000, lambda stopping=stopping: stopping)
        scope = {"type": "http", "method": "POST", "path": "/v1/agents/", "headers": []}
        request = asyncio.create_task(edge(scope, nothing, keep))
        await under_way.wait()
        request.cancel()
        await asyncio.wait({request})
        assert request.cancelled() is not stopping

    head, body = sent
    assert head["status"] == 503
    assert (b"retry-after", b"1") in head["headers"]
    assert "look before you send it again" in json.loads(body["body"])["detail"]


@pytest.mark.slow
async def test_the_http_server_is_not_asked_what_to_say_at_a_stop() -> None:
    """It says 500 to what it cancels when it is out of time; the edge is quicker."""
    under_way = asyncio.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        under_way.set()
        await asyncio.Event().wait()

    config = uvicorn.Config(
        Edge(waiting, 1000, lambda: True),
        http="httptools",
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = _Http(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1/agents/"
        async with asyncio.TaskGroup() as group, httpx.AsyncClient(timeout=30) as client:
            group.create_task(server.serve(sockets=[listening]))
            await wait_until(lambda: server.started, "the port")
            asking = group.create_task(client.get(url))
            await under_way.wait()
            server.should_exit = True
            answer = await asking

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_who_hangs_up_is_told_of_to_the_application() -> None:
    heard: list[str] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append((await receive())["type"])

    async def gone() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def drop(_message: object) -> None:
        return

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await Edge(inner, 1)(scope, gone, drop)
    assert heard == ["http.disconnect"]


async def test_what_is_no_request_passes_through() -> None:
    seen: list[str] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing() -> dict[str, object]:
        return {}

    async def drop(_message: object) -> None:
        return

    await Edge(inner, 1)({"type": "lifespan"}, nothing, drop)
    assert seen == ["lifespan"]
