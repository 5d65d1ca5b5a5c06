"""`GET /metrics`: this server's numbers, as Prometheus reads them.

Who may call the API may read them: they name nobody, but they count all users together. The library that writes the format
is loaded by the first scrape, not at the server's start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import APIRouter, Depends, Header, Response

from runstead.api.auth import Parts, principal
from runstead.api.router import Route, answers
from runstead.store import sizes
from runstead.store.sizes import Sizes
from runstead.telemetry.family import Numbers, Values
from runstead.telemetry.metrics import METRICS, Metric, MetricKind

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

router = APIRouter(route_class=Route, dependencies=[Depends(principal)], include_in_schema=False)


@router.get("/metrics")
@answers(str)
async def read_metrics(parts: Parts, accept: Annotated[str | None, Header()] = None) -> Response:
    """All of `METRICS`, in the format that the caller accepts: Prometheus's text, or OpenMetrics."""
    core: Any = await asyncio.to_thread(import_module, "prometheus_client.core")
    exposition: Any = import_module("prometheus_client.exposition")
    shared = of_sizes(await parts.db.read(sizes.measure, parts.clock.now()))
    own = {**parts.meter.values(), **await parts.log_sizes()}
    told = {"": Numbers(own, parts.meter.timings())}
    if parts.family is not None:
        told = {parts.family.place: told[""], **await parts.family.others()}
    registry = core.CollectorRegistry(auto_describe=False)
    registry.register(_Collected(core, shared, told))
    written, content_type = exposition.choose_encoder(accept or "")
    return Response(cast("bytes", written(registry)), headers={"content-type": cast("str", content_type)})


def of_sizes(found: Sizes) -> dict[str, Mapping[str, float]]:
    """The store's sizes under their names."""
    event_bytes: dict[str, float] = {"unpacked": found.unpacked_bytes}
    if found.event_bytes is not None:
        event_bytes["total"] = found.event_bytes
    return {
        "runstead_runs_active": {"created": 0, "running": 0, **found.active},
        "runstead_runs_waiting": {"": found.waiting},
        "runstead_runs_waiting_oldest_seconds": {"": found.oldest_waiting_s},
        "runstead_runs_due": {"": found.due},
        "runstead_runs_due_oldest_seconds": {"": found.oldest_due_s},
        "runstead_leases_overdue": {"": found.overdue},
        "runstead_leases_overdue_oldest_seconds": {"": found.oldest_overdue_s},
        "runstead_event_rows": {"total": found.rows["events"], "unpacked": found.unpacked_rows},
        "runstead_event_bytes": event_bytes,
        "runstead_store_bytes": {"": found.store_bytes},
        "runstead_messages": {"": found.rows["messages"]},
        "runstead_steps": {"": found.rows["steps"]},
        "runstead_idempotency_keys": {"": found.rows["idempotency_keys"]},
        "runstead_outbox_due": {"": found.outbox_due},
    }


class _Collected:
    """The numbers of one scrape, as the library wants them: the store's, and those of each process."""

    def __init__(self, core: Any, shared: Values, told: Mapping[str, Numbers]) -> None:
        self._core = core
        self._shared = shared
        self._told = told

    def collect(self) -> Iterator[Family]:
        """A family for each metric. Where several processes are told of, `process` tells their series apart."""
        for metric in METRICS:
            labels = [] if metric.label is None else [metric.label]
            if metric.of_store:
                yield self._family(metric, labels, {"": self._shared.get(metric.name, {})})
                continue
            if "" not in self._told:
                labels.append("process")
            if metric.kind is MetricKind.HISTOGRAM:
                yield self._histogram(metric, labels)
            else:
                own = {process: each.values.get(metric.name, {}) for process, each in self._told.items()}
                yield self._family(metric, labels, own)

    def _family(self, metric: Metric, labels: list[str], series: Values) -> Family:
        counter = metric.kind is MetricKind.COUNTER
        make = self._core.CounterMetricFamily if counter else self._core.GaugeMetricFamily
        family = make(metric.name, metric.help, labels=labels)
        for process, values in series.items():
            for label, value in values.items():
                family.add_metric(_given(metric, label, process), value)
        return cast("Family", family)

    def _histogram(self, metric: Metric, labels: list[str]) -> Family:
        bounds = [*(f"{bound:g}" for bound in metric.bounds_s), "+Inf"]
        family = self._core.HistogramMetricFamily(metric.name, metric.help, labels=labels)
        for process, numbers in self._told.items():
            for label, timings in numbers.timings[metric.name].items():
                buckets = list(zip(bounds, accumulate(timings.counts), strict=True))
                family.add_metric(_given(metric, label, process), buckets, timings.sum_s)
        return cast("Family", family)


def _given(metric: Metric, label: str, process: str) -> list[str]:
    """The values of a series' labels."""
    return [*([] if metric.label is None else [label]), *([process] if process else [])]
