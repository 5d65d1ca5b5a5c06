"""A dashboard for Grafana, made from the names of the metrics: one panel each, in rows, drawn by its kind.

Knows nothing of a running server. What is the store's, and every age, is drawn as the greatest of what processes tell; what
is a process's own is added up.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from runstead.telemetry.metrics import METRICS, Metric, MetricKind

# Each metric's place; without the `runstead_` that all begin with.
ROWS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Runs",
        ("runs_active", "runs_finished_total", "model_errors_total", "time_to_first_token_seconds", "streams_open",
         "tail_lag_seconds"),
    ),
    (
        "Queue and leases",
        ("runs_waiting", "runs_waiting_oldest_seconds", "runs_due", "runs_due_oldest_seconds", "leases_held",
         "lease_age_seconds", "leases_overdue", "leases_overdue_oldest_seconds", "outbox_due"),
    ),
    ("Tools", ("tool_seconds", "tool_errors_total")),
    (
        "Store and log",
        ("event_rows", "event_bytes", "store_bytes", "log_size", "messages", "steps", "idempotency_keys"),
    ),
    (
        "Retention",
        ("swept_runs_total", "swept_rows_total", "swept_keys_total", "swept_callbacks_total", "swept_traces_total",
         "swept_deletions_total"),
    ),
)  # fmt: skip
PREFIX = "runstead_"
QUANTILES = (0.5, 0.95, 0.99)
COLUMNS = 24
WIDTH, HEIGHT = 8, 7
# Which of the servers that Prometheus scrapes; `job` and `instance` are its own labels.
_CHOSEN = 'job=~"$job", instance=~"$instance"'
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_UNITS = (("_seconds", "s"), ("_bytes", "bytes"))


def dashboard() -> str:
    """The dashboard as JSON, as Grafana imports it."""
    document = {
        "title": "Runstead",
        "uid": "runstead",
        "tags": ["runstead"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": list(_panels()),
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def queries(metric: Metric) -> list[tuple[str, str]]:
    """What Prometheus is asked for one metric: expression and legend."""
    name, label = metric.name, metric.label
    legend = "{{" + label + "}}" if label else metric.name.removeprefix(PREFIX)
    by = f" by ({label})" if label else ""
    if metric.kind is MetricKind.GAUGE:
        together = "max" if metric.of_store or name.endswith("_seconds") else "sum"
        return [(f"{together}{by} ({name}{{{_CHOSEN}}})", legend)]
    if metric.kind is MetricKind.COUNTER:
        return [(f"sum{by} (rate({name}{{{_CHOSEN}}}[$__rate_interval]))", legend)]
    grouped = f" by (le, {label})" if label else " by (le)"
    rate = f"sum{grouped} (rate({name}_bucket{{{_CHOSEN}}}[$__rate_interval]))"
    told = f"{legend} " if label else ""
    return [(f"histogram_quantile({q}, {rate})", f"{told}p{round(q * 100)}") for q in QUANTILES]


def _panels() -> Iterator[dict[str, object]]:
    known = {metric.name.removeprefix(PREFIX): metric for metric in METRICS}
    number = top = 0
    for title, names in ROWS:
        number += 1
        place = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        top += 1
        for index, name in enumerate(names):
            number += 1
            down, across = divmod(index, COLUMNS // WIDTH)
            place = {"h": HEIGHT, "w": WIDTH, "x": across * WIDTH, "y": top + down * HEIGHT}
            yield {"id": number, "gridPos": place, **_panel(known[name])}
        top += -(-len(names) // (COLUMNS // WIDTH)) * HEIGHT


def _panel(metric: Metric) -> dict[str, object]:
    words = metric.name.removeprefix(PREFIX).removesuffix("_total").replace("_", " ")
    counter = metric.kind is MetricKind.COUNTER
    unit = "ops" if counter else next((u for end, u in _UNITS if metric.name.endswith(end)), "short")
    return {
        "type": "timeseries",
        "title": words.capitalize() + (" a second" if counter else ""),
        "description": metric.help,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend,
            }
            for index, (expression, legend) in enumerate(queries(metric))
        ],
    }


def _variables() -> list[dict[str, object]]:
    some = METRICS[0].name
    chosen = {
        "type": "query",
        "datasource": _SOURCE,
        "includeAll": True,
        "multi": True,
        "refresh": 2,
        "sort": 1,
    }
    asked = {
        "job": f"label_values({some}, job)",
        "instance": f'label_values({some}{{job=~"$job"}}, instance)',
    }
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        *(
            {
                "name": name,
                "label": name.capitalize(),
                "definition": query,
                "query": {"query": query, "refId": name},
                "current": {"text": ["All"], "value": ["$__all"]},
                **chosen,
            }
            for name, query in asked.items()
        ),
    ]
