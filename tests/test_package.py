"""The package: its public names, its version, and the files that an install gets."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from contextlib import chdir
from pathlib import Path

import pytest
import yaml
from setuptools import Distribution

import dropout_lab
from dropout_lab import callbacks, datamodules, models
from dropout_lab.callbacks import schedules
from dropout_lab.models import dropout, networks
from tests.programs import REPOSITORY

ROOMS = (models, dropout, networks, datamodules, callbacks, schedules)


def test_public_names_are_those_of_the_rooms() -> None:
    by_room = [name for room in ROOMS for name in room.__all__]
    listed = dir(dropout_lab)
    public = vars(dropout_lab)["__all__"]
    assert sorted([*by_room, "__version__"]) == sorted(set(public)) == sorted(public), "each once"
    for room in ROOMS:
        for name in room.__all__:
            assert getattr(dropout_lab, name) is getattr(room, name)
    assert {*public, "__doc__"} <= {*listed}
    everything: dict[str, object] = {}
    exec("from dropout_lab import *", everything)
    assert {*public} <= everything.keys()


def test_what_is_not_public() -> None:
    with pytest.raises(AttributeError, match="module 'dropout_lab' has no attribute 'MalDropp'"):
        _ = dropout_lab.MalDropp  # type: ignore[attr-defined]


def test_the_import_waits_for_nothing() -> None:
    program = (
        "import inspect, sys, dropout_lab, dropout_lab.app; dropout_lab.__version__, inspect.getdoc(dropout_lab); "
        "hasattr(dropout_lab, '__wrapped__'); "
        "heavy = {'torch', 'pytorch_lightning', 'numpy'} & {*sys.modules}; sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, capture_output=True)


def test_the_version_is_one_everywhere() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "dropout_lab.__version__"}
    assert yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())["version"] == dropout_lab.__version__


def test_it_runs_as_a_module_too() -> None:
    Path("argparse.py").write_text(
        "raise AssertionError('a file beside the data was taken for the library')\n"
    )
    words = [sys.executable, "-m", "dropout_lab", "--version"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == f"dropout-lab {dropout_lab.__version__}\n"


def tracked() -> set[str]:
    """Return the files that belong into the package, as an install has them."""
    rooms = ("app", "callbacks", "configs", "datamodules", "models")
    files = {
        file
        for room in rooms
        for end in ("py", "yaml", "j2", "js")
        for file in (REPOSITORY / room).rglob(f"*.{end}")
    }
    own = {f"dropout_lab/{name}" for name in ("__init__.py", "__main__.py", "ground.py", "py.typed")}
    return own | {f"dropout_lab/{file.relative_to(REPOSITORY)}" for file in files}


def test_an_install_gets_every_file() -> None:
    with chdir(REPOSITORY):
        distribution = Distribution({"script_name": "setup.py"})
        distribution.parse_config_files(["pyproject.toml"])
        build = distribution.get_command_obj("build_py")
        build.ensure_finalized()
        outputs = {Path(file).relative_to(build.build_lib).as_posix() for file in build.get_outputs(False)}
    assert outputs == tracked()
    assert distribution.get_version() == dropout_lab.__version__
    assert {file.partition("/")[0] for file in outputs} == {"dropout_lab"}


@pytest.mark.slow
def test_a_wheel_has_plain_files_and_nothing_else(tmp_path: Path) -> None:
    """Needs the network, or pip's cache: pip fetches the build's requirements."""
    source = tmp_path / "source"
    files = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, check=True, capture_output=True, text=True
    ).stdout
    for name in files.splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (REPOSITORY / name).is_symlink():
            (source / name).symlink_to((REPOSITORY / name).readlink())
        else:
            (source / name).write_bytes((REPOSITORY / name).read_bytes())
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path), str(source)]
    subprocess.run(wheel, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as archive:
        names = {name for name in archive.namelist() if not re.match(r"dropout_lab-[^/]+\.dist-info/", name)}
        licences = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    assert names == tracked()
    assert len(licences) == 1
