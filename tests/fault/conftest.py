"""One nursery for all tests of faults, and a folder that costs no disk: what is killed there needs none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fault.nursery import Nursery

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """What starts real processes quickly."""
    made = Nursery()
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder in memory where there is such a place: a killed process loses nothing that it wrote."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as made:
        yield Path(made)
