"""`runstead dashboard`: a dashboard for Grafana over the numbers of `GET /metrics`. Starts no server."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from runstead.telemetry.dashboard import dashboard


def run(given: Namespace) -> int:
    """Write the dashboard."""
    if given.out is None:
        sys.stdout.write(dashboard())
    else:
        Path(given.out).write_text(dashboard(), encoding="utf-8")
    return 0
