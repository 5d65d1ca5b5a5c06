"""The API reference: types in words, and an operation's section."""

from __future__ import annotations

from typing import Any

import pytest
from website.reference import pages, type_of

DOCUMENT: dict[str, Any] = {
    "paths": {
        "/v1/things/{thing_id}": {
            "post": {
                "tags": ["things"],
                "description": "Change a thing.\n\nAll of it.",
                "parameters": [
                    {"name": "thing_id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "dry", "in": "query", "schema": {"type": "boolean", "default": False}},
                    {"name": "user_id", "in": "header", "description": "On whose behalf.", "schema": {}},
                ],
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
                },
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"type": "array", "items": {}}}}}
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Thing": {
                "description": "A thing.",
                "properties": {"name": {"type": "string", "description": "What it | is called."}},
                "required": ["name"],
            }
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/components/schemas/RunStatus"}, "[RunStatus](types.md#runstatus)"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"type": "array", "items": {"type": "integer", "minimum": 1}}, "list of integer, at least 1"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "object of string"),
        ({"enum": ["asc", "desc"]}, "`asc`, `desc`"),
        ({"const": "run"}, "`run`"),
        ({}, "anything"),
    ],
)
def test_a_type_in_words(schema: dict[str, Any], words: str) -> None:
    """As short as it can be said, with a link where it has a name."""
    assert type_of(schema) == words


def test_an_operation_has_a_section() -> None:
    """What it does, what it takes, what it answers; headers of every operation are on the first page only."""
    made = pages(DOCUMENT)

    assert made["things.md"].splitlines() == [
        "# Things",
        "",
        "## `POST /v1/things/{thing_id}` { #post-v1-things-thing_id }",
        "",
        "Change a thing.",
        "",
        "All of it.",
        "",
        "| parameter | in | type | default |",
        "|---|---|---|---|",
        "| `thing_id` | path | string | required |",
        "| `dry` | query | boolean | `false` |",
        "",
        "Body: [Thing](types.md#thing).",
        "",
        "Answers 200: list of anything.",
    ]
    assert "| `user_id` | On whose behalf. |" in made["index.md"]
    assert "(things.md#post-v1-things-thing_id) | Change a thing. |" in made["index.md"]
    assert "| `name` | string | required | What it \\| is called. |" in made["types.md"]
