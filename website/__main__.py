"""`python -m website FOLDER [--serve]`: build the site of the documents into a folder, and show it on this machine."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from website.site import BuildFailed, build

PORT = 8284


def main() -> int:
    """Build; serve until Ctrl-C where that is asked for."""
    asked = argparse.ArgumentParser(prog="scripts/docs", description="Build the site of the documents.")
    asked.add_argument("folder", nargs="?", default=".cache/site", help="where to (default .cache/site)")
    asked.add_argument("--serve", action="store_true", help=f"then show it at http://127.0.0.1:{PORT}")
    given = asked.parse_args()
    target = Path(given.folder)
    with tempfile.TemporaryDirectory() as folder:
        try:
            site = build(Path(folder))
        except BuildFailed as failed:
            print(failed, file=sys.stderr)
            return 1
        if (target / "sitemap.xml").exists() or (target / "404.html").exists():
            shutil.rmtree(target)  # the site before; pages that are gone shall not stay
        shutil.copytree(site, target, dirs_exist_ok=True)
    print(f"Built: {target / 'index.html'}")
    if given.serve:
        print(f"http://127.0.0.1:{PORT} (Ctrl-C ends it)")
        command = [
            sys.executable,
            "-m",
            "http.server",
            str(PORT),
            "--bind",
            "127.0.0.1",
            "--directory",
            str(target),
        ]
        try:
            return subprocess.run(command, check=False).returncode
        except KeyboardInterrupt:
            return 0
    return 0


sys.exit(main())
