"""Everything a user can get wrong: one line that names what, where and the remedy; exit code 2; nothing touched."""

import hashlib
import re
import resource
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest

from dropout_lab.app.errors import UserError
from dropout_lab.app.main import main
from tests import programs
from tests.app.bad_input import classes, compare, configs, data, disk, flags, runs, studies, tools, values
from tests.app.bad_input.row import FIT, RUN, Row

TABLES = (flags, values, configs, classes, runs, data, studies, compare, tools, disk)
ROWS = {
    f"{table.__name__.rpartition('.')[2]}: {name}": row
    for table in TABLES
    for name, row in table.ROWS.items()
}

EVERY = 10
"""`make test` tries one row in so many, `make test-all` each: rows of one kind stand together."""

# In a process of its own: without torch, with it, and where the system refuses; and of each other kind one.
AS_PROCESSES = ("flags: test", "data: label out of range", "disk: full under predictions")
AS_PROCESSES_TOO = ("configs: two of a key", "runs: truncated checkpoint", "studies: report of nothing")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, with its test and its predictions."""
    root = tmp_path_factory.mktemp("finished")
    with chdir(root), pytest.MonkeyPatch.context() as patch:
        patch.setenv("DROPOUT_LAB_CACHE", str(root / "cache"))
        main(shlex.split(f"{FIT} --name earlier"))
        main(f"test --run {RUN}".split())
        main(f"predict --run {RUN}".split())
        patch.delenv("PL_GLOBAL_SEED")
    return root / RUN


def test_there_are_enough_rows() -> None:
    assert len(ROWS) == sum(len(table.ROWS) for table in TABLES)
    assert len(ROWS) >= 100
    tried = {name.partition(":")[0] for name in [*ROWS][::EVERY]}
    assert len(tried) == len(TABLES), "`make test` tries some of each kind"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, id=str(number), marks=pytest.mark.slow if number % EVERY else ())
        for number, name in enumerate(ROWS)
    ],
)
def test_one_clear_line(
    name: str, finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ROWS[name]
    # What a fixture of other tests has imported is none of this row's.
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    _prepare(row, finished)
    before = _snapshot()
    capsys.readouterr()
    with _full_at(row.most_bytes), pytest.raises(SystemExit) as ended:
        main(shlex.split(row.command))
    _check(row, ended.value.code, capsys.readouterr().err)
    assert _snapshot() == before


@pytest.mark.parametrize(
    "name", [*AS_PROCESSES, *(pytest.param(name, marks=pytest.mark.slow) for name in AS_PROCESSES_TOO)]
)
def test_the_same_in_a_process_of_its_own(name: str, finished: Path) -> None:
    row = ROWS[name]
    _prepare(row, finished)
    before = _snapshot()
    done = programs.run(*shlex.split(row.command), most_bytes=row.most_bytes)
    _check(row, done.returncode, done.stderr)
    assert _snapshot() == before


@pytest.mark.parametrize("name", ["configs: two of a key", "runs: no such run"])
def test_debug_shows_the_traceback(name: str, finished: Path) -> None:
    _prepare(ROWS[name], finished)
    with pytest.raises(UserError):
        main([*shlex.split(ROWS[name].command), "--debug"])


def test_debug_shows_the_traceback_of_a_full_disk(finished: Path) -> None:
    row = ROWS["disk: full under predictions"]
    _prepare(row, finished)
    with _full_at(row.most_bytes), pytest.raises(OSError, match="predictions.csv"):
        main([*shlex.split(row.command), "--debug"])


def _prepare(row: Row, finished: Path) -> None:
    if row.run:
        shutil.copytree(finished, RUN)
    row.prepare()


def _check(row: Row, code: object, error: str) -> None:
    lines = error.splitlines()
    assert code == 2
    assert "Traceback" not in error
    assert len(lines) == 1, error
    assert lines[0].startswith("dropout-lab: error: ")
    for pattern in row.says:
        assert re.search(pattern, lines[0]), lines[0]


def _snapshot() -> dict[str, str]:
    """Return what is in the folder: what each thing is, its size and what it holds; imported modules leave a cache."""
    found = {}
    for path in sorted(Path().rglob("*")):
        if "__pycache__" in path.parts:
            continue
        if path.is_file():
            content = path.read_bytes()
            found[str(path)] = f"{len(content)} {hashlib.blake2b(content).hexdigest()}"
        else:
            found[str(path)] = "folder" if path.is_dir() else "neither file nor folder"
    return found


@contextmanager
def _full_at(most_bytes: int | None) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes: the kernel refuses to write more, as on a full disk.

    Python itself ignores the signal that comes with it.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
