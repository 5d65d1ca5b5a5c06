"""The OpenAPI document: whole, each operation once, and nothing missing of the two contracts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio
import pytest
from tests.api.conftest import Api

# The document of a whole application takes a second to make.
pytestmark = pytest.mark.slow

# What this test answers for; the operations on runs and messages are their own tests'.
MINE = ("agents", "blocks", "models", "health", "ready", "admin")


async def test_references_resolve_and_operations_have_answers(api: Api) -> None:
    document = (await api.client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    text = json.dumps(document)
    for reference in text.split('"$ref": "')[1:]:
        name = reference.split('"')[0].removeprefix("#/components/schemas/")
        assert name in schemas
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    assert "/v1/agents/" in document["paths"]
    assert not any(path.startswith("/latest") for path in document["paths"])
    for path in document["paths"].values():
        for operation in path.values():
            assert "200" in operation["responses"]


async def test_the_document_is_made_once(api: Api) -> None:
    assert api.app.openapi() is api.app.openapi()


async def test_lists_say_how_they_are_asked(api: Api) -> None:
    document = (await api.client.get("/openapi.json")).json()
    parameters = {p["name"]: p for p in document["paths"]["/v1/agents/"]["get"]["parameters"]}
    assert parameters["limit"]["schema"]["default"] == 50
    assert parameters["user_id"]["in"] == "header"
    runs = document["paths"]["/v1/runs/"]["get"]
    asked = {p["name"]: p["schema"] for p in runs["parameters"]}
    assert {"$ref": "#/components/schemas/StopReason"} in asked["stop_reason"]["anyOf"]
    assert "HTTPValidationError" in json.dumps(runs["responses"]["422"])
    assert "parameters" not in document["paths"]["/v1/health/"]["get"]


async def test_nothing_is_missing_of_the_contracts(api: Api, tmp_path: Path, shared_facts: Path) -> None:
    ours = tmp_path / "openapi.json"
    ours.write_bytes((await api.client.get("/openapi.json")).content)
    check = str(shared_facts / "api" / "check_contract.py")
    done = await anyio.run_process(
        [sys.executable, check, str(ours), "--scope", "core", "--json"], check=False
    )
    problems = json.loads(done.stdout)["problems"]
    noun = [problem.split("/v1/")[1].split("/")[0].rstrip(":") for problem in problems]
    missing = [p for p, n in zip(problems, noun, strict=True) if n in MINE and "/messages" not in p]
    assert missing == []
