"""How routes are declared and answered."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.api.conftest import Api

from runstead.api.router import Json, answer_of, answers


async def test_routes_answer_with_and_without_a_closing_slash(api: Api) -> None:
    agent = await api.agent()
    for path in (
        "/v1/agents",
        "/v1/agents/",
        f"/v1/agents/{agent['id']}",
        f"/v1/agents/{agent['id']}/",
        "/v1/models",
        "/v1/models/",
        "/v1/models/embedding",
        "/v1/models/embedding/",
        "/v1/agents/count",
        "/v1/agents/count/",
    ):
        await api.json("GET", path)
    assert (await api.client.get("/v1/agents//")).status_code == 404


async def test_json_writes_times_in_utc() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert Json({"at": at}).body == b'{"at":"2026-01-02T03:04:05.000006Z"}'


async def test_an_operation_says_what_it_answers() -> None:
    @answers(list[int])
    async def operation() -> None: ...

    assert answer_of(operation) == list[int]
    assert answer_of(test_json_writes_times_in_utc) is None
