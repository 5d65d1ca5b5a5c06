"""The numbers of processes that share one port: each writes its own down, and whoever is asked tells them all.

A scrape reaches one process, whichever takes the connection; without this, Prometheus would see the counters of one and then
of another as one series. A process that has not written for a while is dead or hangs, and is left out until it writes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from runstead.clock import Clock
from runstead.telemetry.logs import log
from runstead.telemetry.metrics import Meter, Timings

WRITE_EVERY_S = 1.0
SILENT_S_MAX = 10.0

_log = log("metrics")

Values = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Numbers:
    """What one process counts: counters and gauges, and histograms, by name and label."""

    values: Values
    timings: Mapping[str, Mapping[str, Timings]]


class Family:
    """This process among those of its port. `place` is its number there, which whoever replaces it takes over."""

    def __init__(self, folder: Path, place: int, meter: Meter, clock: Clock) -> None:
        self.place = str(place)
        self._folder = folder
        self._meter = meter
        self._clock = clock

    async def run(self, more: Callable[[], Awaitable[Values]]) -> None:
        """Write down what is counted here, for ever. `more` is what the meter does not know."""
        while True:
            numbers = Numbers({**self._meter.values(), **await more()}, self._meter.timings())
            try:
                await asyncio.to_thread(self._write, _packed(numbers, self._clock.monotonic_ns()))
            except OSError as error:
                _log.warning("numbers cannot be shared", error=str(error))
            await asyncio.sleep(WRITE_EVERY_S)

    async def others(self) -> Mapping[str, Numbers]:
        """What the other processes have written, by their places."""
        return await asyncio.to_thread(self._read)

    def _write(self, text: bytes) -> None:
        new = self._folder / f"{self.place}.new"
        new.write_bytes(text)
        new.replace(self._folder / f"{self.place}.json")

    def _read(self) -> Mapping[str, Numbers]:
        since_ns = self._clock.monotonic_ns() - int(SILENT_S_MAX * 1e9)
        found: dict[str, Numbers] = {}
        for path in sorted(self._folder.glob("*.json")):
            if path.stem != self.place and (numbers := _unpacked(path.read_bytes(), since_ns)) is not None:
                found[path.stem] = numbers
        return found


def _packed(numbers: Numbers, now_ns: int) -> bytes:
    """The clock is the machine's: all processes on it read the same."""
    timings = {
        name: {label: (each.bounds_s, each.counts, each.sum_s) for label, each in series.items()}
        for name, series in numbers.timings.items()
    }
    return orjson.dumps({"at_ns": now_ns, "values": numbers.values, "timings": timings})


def _unpacked(text: bytes, since_ns: int) -> Numbers | None:
    """None where it is too old."""
    found: Any = orjson.loads(text)
    if found["at_ns"] < since_ns:
        return None
    timings = {
        name: {
            label: Timings(tuple(bounds), counts, sum_s) for label, (bounds, counts, sum_s) in series.items()
        }
        for name, series in found["timings"].items()
    }
    return Numbers(found["values"], timings)
