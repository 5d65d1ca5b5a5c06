"""Our own OpenAPI document, turned against us: whatever fits it, and whatever does not, is answered and breaks nothing.

The requests are made from the document by schemathesis, always the same ones. `RUNSTEAD_FUZZ_EXAMPLES=500` makes more of
them an operation, for a long run by hand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from tests.serving import Client, Server, run_id_in, until

EXAMPLES_IN_SUITE = 5
EXAMPLES = int(os.environ.get("RUNSTEAD_FUZZ_EXAMPLES", EXAMPLES_IN_SUITE))
ANSWER_S = 60
# The operations are dealt out to so many tests, which may run side by side.
PARTS = 3
OPERATIONS_MIN = 30 // PARTS
HEALTH = cast("list[HealthCheck]", list(HealthCheck))
LONG_S = 24 * 3600
NOT_OFFERED = 501
BAD_GATEWAY = 502  # a provider of the actor's own does not answer
NOBODY = "http://127.0.0.1:9"
ENDLESS = "/runs/feed"
BROKEN = ("run broke", "chore failed", "Traceback")


@dataclass(frozen=True, slots=True)
class Known:
    """Things that exist, by the names of the path parameters that mean them."""

    ids: dict[str, str]

    def put_into(self, case: Case[Any]) -> None:
        """Let a request mean what exists."""
        parameters = case.path_parameters or {}
        for name in parameters.keys() & self.ids.keys():
            parameters[name] = self.ids[name]


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A client that knows no proxy."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


def known(client: Client) -> Known:
    """A new agent with a block and a finished background run."""
    agent = client.agent(memory_blocks=[{"label": "human", "value": "Ada"}])
    run_id = run_id_in(client.sent(agent, "hello", background=True))
    block = client.ask("GET", f"/v1/agents/{agent}/core-memory/blocks")[0]["id"]
    step = client.ask("GET", f"/v1/runs/{run_id}/steps")[0]["id"]
    ids = {"agent_id": agent, "run_id": run_id, "block_id": block, "step_id": step}
    return Known({**ids, "block_label": "human"})


def try_all(
    operation: Any, mode: GenerationMode, server: Server, session: requests.Session, things: Known | None
) -> bool:
    """Send an operation's generated requests; each must be answered, and not by a failure of ours.

    False: no such request can be made (an operation that takes nothing cannot be given anything wrong).
    """

    @settings(
        # What fits no document is slow to make up.
        max_examples=EXAMPLES if mode is GenerationMode.POSITIVE else max(2, EXAMPLES // 2),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=HEALTH,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def answered(case: Case[Any]) -> None:
        if things is not None:
            things.put_into(case)
        if isinstance(case.body, dict):
            body = cast("dict[str, Any]", case.body)
            body.pop("callback_url", None)  # nothing leaves this machine
            if "api_key" in body:
                body["base_url"] = NOBODY
        answer = case.call(base_url=server.url, session=session, timeout=ANSWER_S)
        said = f"{case.as_curl_command()}\n{answer.status_code} {answer.text[:2000]}"
        others = answer.status_code == BAD_GATEWAY and "llm_" in answer.text
        assert answer.status_code < 500 or answer.status_code == NOT_OFFERED or others, said
        assert "internal_error" not in answer.text, said

    try:
        answered()
    except Unsatisfiable:
        return False
    return True


@pytest.mark.slow
@pytest.mark.timeout(LONG_S if EXAMPLES > EXAMPLES_IN_SUITE else 600)
@pytest.mark.parametrize(
    ("real", "mode"),
    [
        (False, GenerationMode.POSITIVE),
        (True, GenerationMode.POSITIVE),
        (True, GenerationMode.NEGATIVE),
        # Wrong twice: the rest is not looked at where the thing is not there, so it is for the long run.
        *([(False, GenerationMode.NEGATIVE)] if EXAMPLES > EXAMPLES_IN_SUITE else []),
    ],
)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_request_breaks_the_server(
    server: Server, client: Client, session: requests.Session, real: bool, mode: GenerationMode, part: int
) -> None:
    """No 500, no hang, no lost run: for every operation, with made-up ids and with real ones."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    tried = 0
    for found in islice(schema.get_all_operations(), part, None, PARTS):
        if cast("Any", found).ok().path.endswith(ENDLESS):
            continue
        tried += try_all(cast("Any", found).ok(), mode, server, session, known(client) if real else None)
    assert tried > OPERATIONS_MIN
    until(lambda: not client.ask("GET", "/v1/runs/?active=true"), what="the end of every run")
    assert client.ask("GET", "/v1/health/")["status"] == "ok"
    assert not [word for word in BROKEN if word in server.log], server.log[-8000:]
