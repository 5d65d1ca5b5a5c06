"""What is known of models by their names, for providers whose lists do not say. Data, and one look-up by prefix.

A name that is not here is taken to be a text model with a window of DEFAULT_CONTEXT_WINDOW_TOKENS. Kept short on purpose: a
provider's own answer always comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from runstead.domain.agent import DEFAULT_CONTEXT_WINDOW_TOKENS

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Known:
    """The limits of a family of models, in tokens."""

    window: int = DEFAULT_CONTEXT_WINDOW_TOKENS
    output: int | None = None
    images: bool = False


_FAMILIES: dict[str, Known] = {
    "gpt-3.5": Known(16_385, 4_096),
    "gpt-4-turbo": Known(128_000, 4_096, images=True),
    "gpt-4": Known(8_192, 8_192),
    "gpt-4o": Known(128_000, 16_384, images=True),
    "gpt-4.1": Known(1_047_576, 32_768, images=True),
    "gpt-5": Known(400_000, 128_000, images=True),
    "gpt-oss": Known(131_072),
    "o1": Known(200_000, 100_000, images=True),
    "o3": Known(200_000, 100_000, images=True),
    "o4": Known(200_000, 100_000, images=True),
    "claude-3-5": Known(200_000, 8_192, images=True),
    "claude-3-7": Known(200_000, 64_000, images=True),
    "claude": Known(200_000, 64_000, images=True),
    "gemini": Known(1_048_576, 65_536, images=True),
    "gemma-3": Known(131_072, images=True),
    "gemma": Known(8_192),
    "deepseek": Known(128_000, 8_192),
    "llama-3": Known(131_072),
    "llama-4": Known(1_048_576, images=True),
    "llama": Known(8_192),
    "mistral": Known(32_768),
    "mixtral": Known(32_768),
    "qwen3": Known(131_072),
    "qwen": Known(32_768),
    "kimi": Known(262_144),
    "glm": Known(131_072),
}
_DIMENSIONS: dict[str, int] = {
    "text-embedding-3-large": 3072,
    "text-embedding-3-small": 1536,
    "text-embedding-ada-002": 1536,
    "gemini-embedding": 3072,
    "text-embedding-004": 768,
    "nomic-embed": 768,
    "mxbai-embed": 1024,
    "all-minilm": 384,
    "bge-small": 384,
    "bge-base": 768,
    "bge": 1024,
}
_EMBEDS = ("embed", "all-minilm", "bge-", "e5-", "gte-")
_OTHER = (
    *("whisper", "tts-", "-tts", "transcribe", "realtime", "dall-e", "gpt-image", "imagen", "sora", "veo-"),
    *("moderation", "babbage", "davinci", "aqa"),
)
DEFAULT_DIMENSIONS = 1536


def known(name: str) -> Known:
    """The limits of the family that `name` belongs to. Folders before the name (`org/model`) do not count."""
    return _longest(_FAMILIES, name) or Known()


def dimensions(name: str) -> int:
    """How long an embedding model's vectors are."""
    return _longest(_DIMENSIONS, name) or DEFAULT_DIMENSIONS


def embeds(name: str) -> bool:
    """Whether a model makes vectors, by its name."""
    return any(part in name.lower() for part in _EMBEDS)


def answers(name: str) -> bool:
    """Whether a model answers in text, by its name."""
    return not embeds(name) and not any(part in name.lower() for part in _OTHER)


def _longest(table: Mapping[str, T], name: str) -> T | None:
    bare = name.lower().rsplit("/", 1)[-1]
    matches = [prefix for prefix in table if bare.startswith(prefix)]
    return table[max(matches, key=len)] if matches else None
