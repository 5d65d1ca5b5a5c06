"""Errors as answers."""

from __future__ import annotations

import pytest
from tests.api.conftest import Api

from runstead.api.problems import problem, problem_body
from runstead.errors import (
    Busy,
    ModelError,
    ModelErrorKind,
    PendingApproval,
    RunsteadError,
    Unauthenticated,
    Unavailable,
)


async def test_unknown_routes_and_methods_are_answered_in_json(api: Api) -> None:
    assert await api.json("GET", "/v1/nope", 404) == {"detail": "Not Found"}
    answer = await api.client.request("PUT", "/v1/health/")
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert "GET" in answer.headers["allow"]


async def test_validation_errors_are_a_list(api: Api) -> None:
    body = {"label": "x", "value": 1}
    answer = await api.json("POST", "/v1/blocks/", 422, json=body)
    told = {
        "type": "string_type",
        "loc": ["body", "value"],
        "msg": "Input should be a valid string",
        "input": 1,
    }
    assert answer == {"detail": [told]}


async def test_rejected_bodies_are_not_echoed(api: Api) -> None:
    body = {"model": 3, "secrets": {"OPENAI_API_KEY": ["sk-hidden"]}, "name": "n" * 100_000}
    answer = await api.client.post("/v1/agents/", json=body)
    assert answer.status_code == 422
    assert "sk-hidden" not in answer.text
    assert len(answer.text) < 2000
    whole = await api.client.post("/v1/agents/", json=[body])
    assert whole.status_code == 422
    assert "sk-hidden" not in whole.text


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"label": "\\ud800", "value": ""}',
        b'{"label": "x", "value": "", "metadata": {"a": 1e999}}',
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"text"',
        b'{"label": "x", "value": "", "metadata": ' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}",
        b'{"label": "x", "value": "", "limit": 100000000000000000000000}',
    ],
)
async def test_malformed_bodies_are_422(api: Api, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = await api.client.post("/v1/blocks/", content=body, headers=headers)
    assert answer.status_code == 422, answer.text
    assert isinstance(answer.json()["detail"], list)


@pytest.mark.parametrize("kind", [None, "application/x-www-form-urlencoded", "text/plain"])
async def test_a_body_that_is_not_said_to_be_json_is_told_so(api: Api, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    answer = await api.client.post("/v1/blocks/", content=b'{"label": "x", "value": ""}', headers=headers)
    assert answer.status_code == 422
    (told,) = answer.json()["detail"]
    assert "Content-Type: application/json" in told["msg"]


async def test_odd_but_proper_text_is_kept(api: Api) -> None:
    value = "\x00 \U0001f600 \u202e \uffff"
    block = await api.block("\x00label", value, metadata={"\x00": "\x7f"})
    read = await api.json("GET", f"/v1/blocks/{block['id']}")
    assert (read["value"], read["label"], read["metadata"]) == (value, "\x00label", {"\x00": "\x7f"})
    await api.json("GET", "/v1/blocks/?value_search=%00&label=%ff%fe")


async def test_many_errors_are_cut(api: Api) -> None:
    body = {"model": "runstead/demo", "tags": [1] * 900}
    answer = await api.json("POST", "/v1/agents/", 422, json=body)
    assert len(answer["detail"]) == 50


async def test_errors_say_when_to_come_back() -> None:
    assert problem(Unavailable("x")).headers["retry-after"] == "1"
    assert problem(Unauthenticated()).headers["www-authenticate"] == "Bearer"
    assert (
        "www-authenticate"
        not in problem(ModelError(ModelErrorKind.AUTHENTICATION, "The provider refused the key.")).headers
    )


async def test_what_errors_say() -> None:
    assert problem_body(Busy("busy", run_id="run-1")) == {"detail": "busy", "run_id": "run-1"}
    assert problem_body(PendingApproval("waits", pending_request_id="message-1")) == {
        "detail": {
            "code": "PENDING_APPROVAL",
            "message": "waits",
            "pending_request_id": "message-1",
        }
    }
    assert problem_body(ModelError(ModelErrorKind.RATE_LIMIT, "slow", cause="429")) == {
        "detail": "slow",
        "error": {"type": "llm_rate_limit", "message": "slow", "detail": "429"},
    }
    assert problem_body(RunsteadError()) == {"detail": "Something went wrong inside the server."}
