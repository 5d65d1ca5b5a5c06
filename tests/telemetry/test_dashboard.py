"""The dashboard: made from the metrics, all of them, and asking for nothing that a server does not tell."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from tests.world import world

from runstead.cli import main
from runstead.llm.scripted import ScriptedGateway
from runstead.telemetry.dashboard import COLUMNS, PREFIX, ROWS, dashboard
from runstead.telemetry.metrics import METRICS

KEPT = Path(__file__).parents[2] / "docs" / "grafana.json"


def test_the_file_in_the_docs_is_the_dashboard(tmp_path: Path) -> None:
    """As the command writes it: `runstead dashboard --out docs/grafana.json`."""
    assert main(["dashboard", "--out", str(tmp_path / "made.json")]) == 0
    made = (tmp_path / "made.json").read_text()
    assert made == dashboard()
    assert KEPT.read_text() == made, "run: runstead dashboard --out docs/grafana.json"


def test_every_metric_has_its_panel_once() -> None:
    """A new one must find its row."""
    placed = [PREFIX + name for _, names in ROWS for name in names]
    assert sorted(placed) == sorted(metric.name for metric in METRICS)


def test_panels_do_not_overlap() -> None:
    """Each cell of the grid belongs to one panel."""
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(dashboard())["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < COLUMNS
        taken |= cells


async def test_it_names_only_what_a_server_tells(tmp_path: Path) -> None:
    """Names, and the labels by which they are told apart, against a live answer of `/metrics`."""
    async with world(tmp_path, ScriptedGateway()) as w:
        text = (await w.client.get("/metrics")).text
    told: set[str] = set()
    for family in text_string_to_metric_families(text):
        name = family.name + "_total" * (family.type == "counter")
        told |= {name, *(name + "_bucket" for _ in range(family.type == "histogram"))}
    labels = {metric.name: metric.label for metric in METRICS}
    asked = [
        target["expr"] for panel in json.loads(dashboard())["panels"] for target in panel.get("targets", [])
    ]
    assert len(asked) >= len(METRICS)
    for expression in asked:
        (name,) = re.findall(r"\brunstead_\w+", expression)
        assert name in told, expression
        by = re.search(r"by \((?:le(?:, )?)?(\w*)\)", expression)
        assert (by[1] or None if by else None) == labels[name.removesuffix("_bucket")], expression
