"""Loading a library without the half of OpenTelemetry that it would bring along.

redis loads OpenTelemetry's SDK for metrics where that is installed, for numbers that nobody reads here. It does without
where the SDK is not there, and so it is told: that saves two megabytes and a tenth of a second.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, cast

_METRICS = "opentelemetry.sdk.metrics"


def load_without_sdk(name: str) -> Any:
    """The module of that name. Whoever wants the SDK afterwards can have it."""
    modules = cast("dict[str, object]", sys.modules)
    if _METRICS in modules:
        return import_module(name)
    modules[_METRICS] = None  # Python's own way to say that there is no such module
    try:
        return import_module(name)
    finally:
        del modules[_METRICS]
