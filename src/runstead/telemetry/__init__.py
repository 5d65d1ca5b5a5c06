"""What a server tells of itself: logs, the numbers of `GET /metrics`, and traces."""

from runstead.telemetry.logs import configure, log
from runstead.telemetry.metrics import Meter

__all__ = ["Meter", "configure", "log"]
