"""Loaders' processes are started as Python 3.14 does, which is stricter than a fork: all they need is sent to them."""

import multiprocessing
from collections.abc import Iterator

import pytest

from tests.programs import server


@pytest.fixture(autouse=True)
def _forkserver() -> Iterator[None]:
    before = multiprocessing.get_start_method(allow_none=True)
    server()
    multiprocessing.set_start_method("forkserver", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)
