"""How loaders start their processes, and images to read."""

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data.folders import write_pictures
from tests.programs import server


@pytest.fixture(autouse=True)
def _forkserver() -> Iterator[None]:
    """As Python 3.14 does, which is stricter than a fork: all that processes need is sent to them."""
    before = multiprocessing.get_start_method(allow_none=True)
    server()
    multiprocessing.set_start_method("forkserver", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


@pytest.fixture
def files() -> list[Path]:
    """Images that are older than any tick of a clock, however fast the test is."""
    files = write_pictures(Path("pictures"), 40)
    for file in files:
        os.utime(file, (1_000_000, 1_000_000))
    return files
