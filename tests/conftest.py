"""Fixtures: tiny data sets, and the real ones where they are."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

# Two test processes, and those that they start, get in each other's way with a thread for each core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Else each process that compiles starts others, which import PyTorch first.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

import pytest
from filelock import FileLock

from tests.data import write_cifar10, write_mnist
from tests.data.isic import write_isic
from tests.programs import REPOSITORY, TESTS

REAL_DATA = Path(os.environ.get("DROPOUT_LAB_DATA", REPOSITORY.parent / "shared" / "data"))
CACHES = count()
TESTS.mkdir(parents=True, exist_ok=True)
with suppress(FileExistsError):
    (TESTS / "tests").symlink_to(Path("../../tests"))
sys.path.append(str(TESTS))
UNPACKED = REPOSITORY / ".cache" / "real-data"


# PyTorch, Lightning and four thousand tests: a collection that looks at all of them takes half a second.
gc.disable()


def pytest_collection_finish() -> None:
    """Keep what all tests share out of the garbage collections within them."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Give it back, since some libraries' bindings complain at the interpreter's end of what is not collected."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    """Start every test from the same random state, and leave no seed behind."""
    import torch  # not by the process that hands out the tests, which would do so before it starts the others

    # torch.manual_seed notes each call with its traceback for the day when a GPU is used.
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(0)
    yield
    # seed_everything's, by which ImageClassifier seeds each batch.
    os.environ.pop("PL_GLOBAL_SEED", None)


@pytest.fixture(scope="session", autouse=True)
def _path() -> list[str]:
    """Where modules are looked for before any test has run."""
    return list(sys.path)


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _path: list[str]) -> Iterator[None]:
    """Run every test in a folder of its own, so that a stray file is seen, and forget what it imported from there."""
    monkeypatch.chdir(tmp_path)
    # The program looks for modules of one's own where it is started; a module's fixtures may have started it elsewhere.
    monkeypatch.setattr(sys, "path", list(_path))
    before = set(sys.modules)
    yield
    for name in sys.modules.keys() - before:
        # A folder without __init__.py is a module without a file.
        known = vars(sys.modules[name])
        places = [known.get("__file__"), *known.get("__path__", ())]
        if any(str(place).startswith(str(tmp_path)) for place in places):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test, and the processes it starts, a cache of its own; a user's is not touched."""
    # The folder of a test that has passed is removed, and its name given to another.
    monkeypatch.setenv("DROPOUT_LAB_CACHE", str(tmp_path.parent / "caches" / str(next(CACHES))))


@pytest.fixture
def mnist_root(tmp_path: Path) -> Path:
    """A folder with a tiny MNIST in the real format."""
    write_mnist(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def cifar10_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a tiny CIFAR-10 in the real format, its checksums taken for the official ones."""
    from dropout_lab.datamodules import cifar10  # which imports torch

    checksums = write_cifar10(tmp_path / "data")
    test = {"test_batch": checksums.pop("test_batch")}
    monkeypatch.setattr(cifar10, "TRAIN_MD5", checksums)
    monkeypatch.setattr(cifar10, "TEST_MD5", test)
    return tmp_path / "data"


@pytest.fixture
def isic_root(tmp_path: Path) -> Path:
    """A folder with a tiny ISIC 2020 in the real format."""
    write_isic(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real data sets; unpacked once where they come packed, for all processes."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data in {REAL_DATA}; name their folder with DROPOUT_LAB_DATA")
    prepare = REAL_DATA / "prepare"
    if not prepare.is_file():
        return REAL_DATA
    UNPACKED.mkdir(parents=True, exist_ok=True)
    with FileLock(UNPACKED / ".lock"):
        subprocess.run([prepare, UNPACKED], check=True, capture_output=True)
    return UNPACKED
