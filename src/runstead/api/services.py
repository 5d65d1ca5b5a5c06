"""What routes may use, in one typed bundle that `app.py` fills. Routes never make a part of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from runstead.api.wire.runs import RenderedRuns
from runstead.clock import Clock
from runstead.events.log import EventLog
from runstead.filing import Filing
from runstead.ids import Ids
from runstead.llm.own_providers import OwnProviders
from runstead.llm.types import Gateway
from runstead.runs.admit import Admission
from runstead.runs.cancel import Cancellation
from runstead.runs.feed import RunFeeds
from runstead.settings import Settings
from runstead.store.database import Database
from runstead.telemetry import Meter
from runstead.telemetry.family import Family
from runstead.tools.workshop import Workshop


class Lifecycle(Protocol):
    """What the server as a whole is doing."""

    @property
    def stopping(self) -> bool:
        """Whether it takes no more work."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The parts a route works with."""

    settings: Settings
    clock: Clock
    ids: Ids
    db: Database
    log: EventLog
    gateway: Gateway
    admission: Admission
    cancellation: Cancellation
    lifecycle: Lifecycle
    feeds: RunFeeds
    workshop: Workshop
    own_providers: OwnProviders
    filing: Filing
    meter: Meter = field(default_factory=Meter)
    family: Family | None = None
    rendered_runs: RenderedRuns = field(default_factory=RenderedRuns)

    async def log_sizes(self) -> dict[str, Mapping[str, float]]:
        """The event log's own memory, under its metric's name."""
        return {"runstead_log_size": await self.log.sizes()}
