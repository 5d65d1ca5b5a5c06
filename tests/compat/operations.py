"""The page that says of each operation of the API what this server makes of it.

`python -m tests.compat.operations` writes it.

The operations are those of both generations' documents, in the folder of facts beside the checkout.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conftest import SHARED

from runstead.api.not_offered import OPERATIONS
from runstead.api.openapi import describe
from runstead.api.server import ROUTERS, Api

PAGE = Path(__file__).parents[2] / "docs" / "operations_of_the_api.md"
METHODS = ("get", "post", "put", "patch", "delete")
# Known to the reference and meant for nobody else.
NOT_PLANNED = {"/v1/_internal_": "Internal to the reference; no client calls it."}
_HEAD = """# The operations of the API

What this server makes of each operation of Letta's V1 REST API. Generated: `python -m tests.compat.operations`.

**works**: served. **501**: answered with the words that stand here. **not planned**: 404. **not yet**: 404 until it is
there. What exists only in the hosted service (templates, projects, environments, schedules, client-side access tokens) is
in no open server; it is 404 here, too.

"""
Key = tuple[str, str]


def normal(path: str) -> str:
    """A path without its closing slash, its parameters nameless, so that spellings compare equal."""
    parts = ["{}" if part.startswith("{") else part for part in path.rstrip("/").split("/")]
    return "/".join(parts)


def operations_of(document: Mapping[str, Any]) -> dict[Key, str]:
    """The operations of a document, with their paths as they are spelled there."""
    return {
        (method, normal(path)): path
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    }


def served() -> dict[Key, str]:
    """The operations of our own document."""
    app = Api(title="Runstead", version="0")
    for router in ROUTERS:
        app.router.routes.extend(router.routes)
    return operations_of(describe(app))


def page() -> str:
    """The whole page."""
    known: dict[Key, str] = {}
    for generation in ("r117", "r168"):
        document = json.loads((SHARED / "api" / f"openapi-{generation}.json").read_text(encoding="utf-8"))
        known |= operations_of(document)
    ours = served()
    refused = {(each.method.lower(), normal(each.path)): each.reason for each in OPERATIONS}
    rows = []
    for (method, path), spelled in sorted(
        known.items(), key=lambda each: (each[0][1], METHODS.index(each[0][0]))
    ):
        state, why = _state((method, path), ours, refused)
        rows.append((method.upper(), spelled, state, why))
    counts = Counter(state for _, _, state, _ in rows)
    lines = [f"{len(rows)} operations: " + ", ".join(f"{counts[s]} {s}" for s in sorted(counts)) + ".", ""]
    lines += ["| operation | here | why |", "|---|---|---|"]
    lines += [f"| `{method} {path}` | {state} | {why} |" for method, path, state, why in rows]
    return _HEAD + "\n".join(lines) + "\n"


def _state(key: Key, ours: Mapping[Key, str], refused: Mapping[Key, str]) -> tuple[str, str]:
    if key in ours:
        return "works", ""
    if key in refused:
        return "501", refused[key]
    for start, why in NOT_PLANNED.items():
        if key[1].startswith(start):
            return "not planned", why
    return "not yet", ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
