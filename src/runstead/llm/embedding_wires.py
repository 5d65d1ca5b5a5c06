"""How providers are asked for vectors, and what they answer: bytes to vectors. Asks nobody.

Two shapes: OpenAI's, which nearly every server speaks, and Google's. Anthropic has no embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, isfinite, sqrt
from typing import Any, cast
from urllib.parse import quote

import orjson

from runstead.domain.embedding import Vector
from runstead.errors import ModelError
from runstead.llm import failures
from runstead.settings import ProviderSettings

KINDS = {"chat", "openai", "google"}
DIMENSIONS_MAX = 16_384


def question(kind: str, name: str, texts: Sequence[str], *, looked_for: bool) -> tuple[str, bytes]:
    """The path below the base URL, and the body. Google makes other vectors for what is looked for."""
    if kind != "google":
        return "/embeddings", orjson.dumps({"model": name, "input": list(texts), "encoding_format": "float"})
    task = "RETRIEVAL_QUERY" if looked_for else "RETRIEVAL_DOCUMENT"
    requests = [
        {"model": f"models/{name}", "content": {"parts": [{"text": text}]}, "taskType": task}
        for text in texts
    ]
    path = f"/v1beta/models/{quote(name, safe='')}:batchEmbedContents"
    return path, orjson.dumps({"requests": requests})


def vectors(provider: ProviderSettings, body: bytes, count: int) -> list[Vector]:
    """The vectors of an answer, in the order of the texts, each of length 1. Raises `ModelError`."""
    try:
        answer: Any = orjson.loads(body)
        if provider.kind == "google":
            rows = [each["values"] for each in answer["embeddings"]]
        else:
            entries = cast("list[dict[str, Any]]", answer["data"])
            # Servers that number them may answer in any order.
            rows = [each["embedding"] for each in sorted(entries, key=lambda e: int(e.get("index") or 0))]
        found = [_unit(row) for row in rows]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise _malformed(provider, "its answer is not a list of vectors") from None
    if len(found) != count:
        raise _malformed(provider, f"{len(found)} vectors for {count} texts")
    if len({len(each) for each in found}) > 1:
        raise _malformed(provider, "vectors of different lengths")
    return found


def _unit(row: object) -> Vector:
    """A vector of length 1 in the same direction. Raises `ValueError` where there is none."""
    numbers = [float(each) for each in cast("list[float]", row)]
    length = sqrt(fsum(each * each for each in numbers))
    if not 0 < len(numbers) <= DIMENSIONS_MAX or not length or not isfinite(length):
        raise ValueError
    return tuple(each / length for each in numbers)


def _malformed(provider: ProviderSettings, what: str) -> ModelError:
    return failures.malformed(provider.name, what)
