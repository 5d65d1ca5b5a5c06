"""`python -m runstead` is the `runstead` command."""

from __future__ import annotations

import sys

from runstead.cli import main

sys.exit(main())
