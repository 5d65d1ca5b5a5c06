"""A provider of models that an actor brought: whose key it is, and what its list said when it was last read.

The key is sealed before it comes here and is never shown: not in an answer, not in a `repr`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from runstead.ids import ProviderId, UserId

PROVIDERS_MAX = 100
MODELS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model as the provider's list names it, and its limits in tokens."""

    name: str
    context_window_tokens: int
    output_tokens_max: int | None = None
    images: bool = False


@dataclass(frozen=True, slots=True)
class OwnProvider:
    """One provider of one actor. `name` is the first half of its models' handles; `sealed_key` is None where it needs none.

    `base_url` is None for the type's own address. `last_synced` is when `models` was read; None: never yet.
    """

    id: ProviderId
    user_id: UserId
    name: str
    provider_type: str
    created_at: datetime
    updated_at: datetime
    base_url: str | None = None
    sealed_key: bytes | None = field(default=None, repr=False)
    region: str | None = None
    api_version: str | None = None
    last_synced: datetime | None = None
    models: tuple[ListedModel, ...] = ()
