"""`python -m benchmarks.chaos --seed 1 --seconds 300 --clients 40 --processes 3 [--sqlite]`: prints the figures.

Ends with 1 where a promise was broken. Where that is so, or with `--keep`, the servers' logs stay in the folder that is
named at the end, and beside them what was broken when.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.chaos.driver import Chaos, run


def main() -> int:
    """Read the command line, do it, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--lease", type=float, default=2.0, help="seconds")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two faults, about")
    parser.add_argument(
        "--late", type=float, default=5.0, help="leave out a fault that would be so many seconds late"
    )
    parser.add_argument("--sqlite", action="store_true", help="one process on SQLite")
    parser.add_argument("--keep", action="store_true", help="keep the logs also where nothing is broken")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="runstead-chaos-"))
    outcome = run(
        Chaos(
            seed=given.seed,
            seconds=given.seconds,
            clients=given.clients,
            processes=given.processes,
            lease_s=given.lease,
            every_s=given.every,
            alone=given.sqlite,
            late_s_max=given.late,
        ),
        folder,
    )
    print(outcome.figures.as_table())
    print(f"\n```json\n{outcome.figures.as_json()}\n```")
    if given.json is not None:
        given.json.write_text(outcome.figures.as_json() + "\n")
    if outcome.broken or given.keep:
        print("\n\n".join(["", *outcome.broken, f"The logs, and when what was broken, are in {folder}"]))
    else:
        shutil.rmtree(folder)
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    sys.exit(main())
