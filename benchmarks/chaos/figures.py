"""What a chaos run gave, in numbers: as a table for people and as JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import quantiles

from benchmarks.chaos.checks import Fault, lost_and_repeated, replaced
from benchmarks.chaos.cluster import Cluster
from benchmarks.chaos.evidence import Evidence
from benchmarks.chaos.takeover import Takeover


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one chaos run. Times in seconds; `None` where nothing was there to be measured."""

    seed: int
    seconds: float
    clients: int
    processes: int
    lease_s: float
    faults: dict[str, int]
    left_out: int
    runs: int
    readers: int
    events: int
    attached: int
    sent_away: int
    refused: int
    attempts_given_up: int
    events_replaced: int
    lost: int
    repeated: int
    takeovers: dict[str, dict[str, float | int | None]]
    broken: int

    def as_json(self) -> str:
        """For machines."""
        return json.dumps(asdict(self), indent=1)

    def as_table(self) -> str:
        """For people."""
        rows = [
            (
                "seed / seconds / clients / processes",
                f"{self.seed} / {self.seconds:.0f} / {self.clients} / {self.processes}",
            ),
            ("lease", f"{self.lease_s:.1f} s"),
            ("faults injected", sum(self.faults.values())),
            *((f"… {kind}", count) for kind, count in self.faults.items()),
            ("faults left out, their target was still being mended", self.left_out),
            ("runs admitted", self.runs),
            ("readers", self.readers),
            ("events delivered", self.events),
            ("times a reader attached", self.attached),
            ("responses ended in order before the run", self.sent_away),
            ("requests refused with 503", self.refused),
            ("attempts given up", self.attempts_given_up),
            ("events of given-up attempts replaced by pings", self.events_replaced),
            ("events lost", self.lost),
            ("events repeated", self.repeated),
            *((f"takeover: {kind}", _spread(found)) for kind, found in self.takeovers.items()),
            ("promises broken", self.broken),
        ]
        return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])


def figures(
    cluster: Cluster,
    evidence: Evidence,
    takeovers: Sequence[Takeover],
    faults: Sequence[Fault],
    *,
    seed: int,
    seconds: float,
    lease_s: float,
) -> Figures:
    """Count everything."""
    readers = [f for client in evidence.clients for sent in client.sent for f in sent.followings]
    counted = [lost_and_repeated(ended) for ended in evidence.ended]
    given_up = [s for ended in evidence.ended for s in ended.steps if s.error_type == "abandoned"]
    kinds = sorted({takeover.kind for takeover in takeovers})
    times = {f"{kind}": [t.took_s for t in takeovers if t.kind is kind] for kind in kinds}
    times["nothing else broken meanwhile"] = [t.took_s for t in takeovers if not t.disturbed]
    times["all"] = [t.took_s for t in takeovers]
    return Figures(
        seed=seed,
        seconds=seconds,
        clients=len(evidence.clients),
        processes=len(cluster.servers),
        lease_s=lease_s,
        faults={kind.value: count for kind, count in sorted(cluster.done.items())},
        left_out=cluster.left_out,
        runs=len(evidence.ended),
        readers=len(readers),
        events=sum(len(f.got) for f in readers),
        attached=sum(len(f.attached) for f in readers),
        sent_away=sum(f.sent_away for f in readers),
        refused=sum(client.refused for client in evidence.clients),
        attempts_given_up=len(given_up),
        events_replaced=sum(replaced(ended) for ended in evidence.ended),
        lost=sum(lost for lost, _ in counted),
        repeated=sum(repeated for _, repeated in counted),
        takeovers={kind: _percentiles(found) for kind, found in times.items()},
        broken=len(faults),
    )


def _percentiles(found: list[float]) -> dict[str, float | int | None]:
    if not found:
        return {"count": 0, "p50": None, "p99": None, "max": None}
    cuts = quantiles(found, n=100, method="inclusive") if len(found) > 1 else found * 99
    return {
        "count": len(found),
        "p50": round(cuts[49], 2),
        "p99": round(cuts[98], 2),
        "max": round(max(found), 2),
    }


def _spread(found: dict[str, float | int | None]) -> str:
    return f"p50 {found['p50']} s, p99 {found['p99']} s, longest {found['max']} s of {found['count']}"
