"""The folder one stands in, and the network: what lies there is not taken for a library, nobody else is let in.

Which file is imported is the business of a fresh interpreter: these start one.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.app.study.studies import BASE, dropout, write_study
from tests.data.sockets import LOOPBACK, PROC, listening
from tests.data.traps import MARK, unharmed
from tests.programs import CLI, HANGS_S, REPOSITORY

linux = pytest.mark.skipif(not PROC.is_dir(), reason="looks into /proc")


OWN = """
import torch

class Mine(torch.nn.Dropout):
    pass
"""
CALLBACK = """
from pytorch_lightning import Callback

class Noted(Callback):
    def on_fit_start(self, trainer, pl_module):
        print("noted")
"""


def hide_libraries() -> None:
    """Put files of the libraries' names into the current folder, and of the program's own, which nobody asks for."""
    hostile = f"from pathlib import Path\nPath({str(MARK.resolve())!r}).touch()\n"
    for name in ("yaml", "torch", "rich", "app", "cli", "jsonargparse", "json", "re", "multiprocessing"):
        Path(f"{name}.py").write_text(hostile)


def write_own(packages: bool) -> None:
    """Put modules of one's own beside one's data, of the names that the program's rooms have."""
    for folder in ("models", "datamodules"):
        Path(folder).mkdir()
        if packages:
            Path(folder, "__init__.py").touch()
    Path("models/mine.py").write_text("from datamodules.also_mine import OWN as OWN\n" + OWN)
    Path("datamodules/also_mine.py").write_text("OWN = True\n")
    Path("callbacks.py").write_text(CALLBACK)


@pytest.fixture
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The program as it is called uninstalled, and as the installed script calls it."""
    if request.param == "cli.py":
        return [sys.executable, str(CLI)]
    script = tmp_path_factory.mktemp("bin") / "dropout-lab"
    script.write_text("import sys\nfrom dropout_lab.app.main import main\nsys.exit(main())\n")
    return [sys.executable, str(script)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "packages"),
    # The script's first folder is none of ours, and one's own packages have the names of the program's rooms.
    [("cli.py", False), ("dropout-lab", True)],
    indirect=["program"],
)
def test_files_beside_ones_data_hide_no_library(program: list[str], packages: bool) -> None:
    hide_libraries()
    write_own(packages)
    words = (
        "fit --data DigitsDataModule --model.network GavierMNIST --model.network.dropout models.mine.Mine "
        "--trainer.callbacks callbacks.Noted --trainer.fast_dev_run 1 --trainer.accelerator cpu"
    )
    done = subprocess.run(
        [*program, *words.split()],
        # A notebook's, which is not installed beside the program.
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "MPLBACKEND": "module://of_a_notebook.backend"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "noted" in done.stdout
    assert unharmed()


@pytest.mark.slow
@pytest.mark.parametrize("program", ["cli.py"], indirect=True)
@pytest.mark.parametrize(("devices", "packages"), [(1, True), (1, False), (2, False)])
def test_nor_in_the_processes_of_a_study(program: list[str], devices: int, packages: bool) -> None:
    trainer = {"max_epochs": 1, "accelerator": "cpu", "devices": devices}
    settings = {**BASE, "trainer": {**trainer, "strategy": "ddp" if devices > 1 else "auto"}}
    own = {**dropout("models.mine.Mine"), "trainer": {"callbacks": "callbacks.Noted"}}
    file = write_study(base={"settings": settings}, grid={"method": {"own": own}}, seeds=[0])
    hide_libraries()
    write_own(packages)
    done = subprocess.run(
        [*program, "study", str(file), "--jobs", "1"], env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, check=False, timeout=HANGS_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert unharmed()


@linux
@pytest.mark.slow
def test_tensorboard_listens_on_the_loopback_address() -> None:
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", ".", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + HANGS_S
            while not (found := listening(process.pid)) and process.poll() is None:
                assert time.monotonic() < end
                time.sleep(0.2)
        finally:
            process.terminate()
    assert found
    assert set(found.values()) <= LOOPBACK


@linux
@pytest.mark.slow
def test_an_own_ray_listens_on_the_loopback_address() -> None:
    pytest.importorskip("ray")
    script = (
        "import os\n"
        "from dropout_lab.app.study import ray_cluster\n"
        "from tests.data.sockets import LOOPBACK, listening\n"
        "with ray_cluster.connected(1):\n"
        "    found = listening(os.getpid())\n"
        "assert found and set(found.values()) <= LOOPBACK, found\n"
        "print(len(found))\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-c", script], env={**environment, "PYTHONPATH": str(REPOSITORY)}, capture_output=True,
        text=True, check=False, timeout=HANGS_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= 3
