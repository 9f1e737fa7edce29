"""Configs, flags, checkpoints and studies of strangers: what may not be is refused in one line, and nothing runs."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from _pytest.mark import ParameterSet

from dropout_lab.app.config.settings import merge
from dropout_lab.app.errors import UserError
from dropout_lab.app.main import main
from dropout_lab.app.study.one_run import build_run
from dropout_lab.models import ImageClassifier
from tests.data.traps import MARK, Trap, unharmed

FIT = (
    "fit --data DigitsDataModule --model.network GavierMNIST --trainer.max_epochs 1 --trainer.accelerator cpu "
    "--trainer.limit_train_batches 2 --trainer.limit_val_batches 1"
).split()

HARMFUL = {
    "subprocess.Popen": {"args": f"touch {MARK}", "shell": True},
    "os.system": {"command": f"touch {MARK}"},
    "builtins.eval": {"source": f"open('{MARK}', 'w')"},
    "builtins.exec": {"source": f"open('{MARK}', 'w')"},
    "shutil.rmtree": {"path": "kept"},
    "pickle.loads": {"data": "x"},
    "urllib.request.urlopen": {"url": "file:///etc/hostname"},
    "torch.utils.collect_env.run": {"command": f"touch {MARK}"},
    "torch.os.system": {"command": f"touch {MARK}"},
    "torch.load": {"f": "trap.ckpt"},
}
"""What may be named nowhere, with arguments that would do harm."""


TEXT = {"argument of a logger", "anything of a strategy", "argument of an optimizer", "argument of a dropout"}
"""Places where a text alone is a text."""


def in_chain(spec: Any) -> dict[str, Any]:
    return {"class_path": "Chain", "init_args": {"layers": [spec]}}


def in_network(spec: Any) -> dict[str, Any]:
    return {"model": {"network": {"class_path": "GavierMNIST", "init_args": {"dropout": spec}}}}


def callback(name: str, **arguments: Any) -> dict[str, Any]:
    return {"trainer": {"callbacks": [{"class_path": name, "init_args": arguments}]}}


def scheduler(spec: Any) -> dict[str, Any]:
    return {
        "model": {
            "scheduler": {
                "class_path": "torch.optim.lr_scheduler.LambdaLR", "init_args": {"lr_lambda": spec}
            }
        }
    }  # fmt: skip


def logger(spec: Any) -> dict[str, Any]:
    arguments = {"save_dir": "logs", "comment": spec}
    return {"trainer": {"logger": {"class_path": "TensorBoardLogger", "init_args": arguments}}}


PLACES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "data": lambda spec: {"data": spec},
    "network": lambda spec: {"model": {"network": spec}},
    "dropout": in_network,
    "layer of a chain": lambda spec: in_network(in_chain(spec)),
    "layer of a chain in a chain": lambda spec: in_network(in_chain(in_chain(spec))),
    "argument of a dropout": lambda spec: in_network(
        {"class_path": "torch.nn.TransformerEncoderLayer",
         "init_args": {"d_model": 8, "nhead": 2, "activation": spec}}
    ),
    "optimizer": lambda spec: {"model": {"optimizer": spec}},
    "argument of an optimizer": lambda spec: {
        "model": {"optimizer": {"class_path": "torch.optim.SGD", "init_args": {"foreach": spec}}}
    },
    "scheduler": lambda spec: {"model": {"scheduler": spec}},
    "argument of a scheduler": scheduler,
    "callbacks": lambda spec: {"trainer": {"callbacks": [spec]}},
    "hook of a callback": lambda spec: callback("LambdaCallback", on_fit_start=spec),
    "schedule": lambda spec: callback("RhoScheduler", schedule=spec),
    "function of a callback": lambda spec: callback("WeightAveraging", avg_fn=spec),
    "logger": lambda spec: {"trainer": {"logger": spec}},
    "argument of a logger": logger,
    "plugins": lambda spec: {"trainer": {"plugins": [spec]}},
    "strategy": lambda spec: {"trainer": {"strategy": spec}},
    "argument of a strategy": lambda spec: {
        "trainer": {"strategy": {"class_path": "DDPStrategy", "init_args": {"ddp_comm_hook": spec}}}
    },
    "anything of a strategy": lambda spec: {
        "trainer": {"strategy": {"class_path": "DDPStrategy", "init_args": {"ddp_comm_state": spec}}}
    },
    "accelerator": lambda spec: {"trainer": {"accelerator": spec}},
    "profiler": lambda spec: {"trainer": {"profiler": spec}},
}  # fmt: skip
"""Every place that takes a class or a function, and some that take anything."""


@pytest.fixture(autouse=True)
def _something_to_lose() -> None:
    Path("kept").mkdir()
    torch.save({"state_dict": Trap(), "global_step": 3}, "trap.ckpt")


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Give a command; return the one line that refuses it, once it is sure that nothing was run or written."""
    before = sorted(Path().rglob("*"))
    with pytest.raises(SystemExit) as ended:
        main(words)
    error = capsys.readouterr().err.strip()
    assert ended.value.code == 2
    assert error.startswith("dropout-lab: error: ")
    assert "\n" not in error
    assert sorted(Path().rglob("*")) == before
    return error


def spread(places: Sequence[str], every: int, called: Sequence[bool] = (True,)) -> list[ParameterSet]:
    """Return each place with each path: `make test` tries one in so many, each place and each path among them."""
    return [
        pytest.param(
            place, path, *([how] if len(called) > 1 else []),
            marks=() if how and (row + column) % every == 0 else pytest.mark.slow,
        )
        for row, place in enumerate(places)
        for column, path in enumerate(HARMFUL)
        for how in called
        if how or place not in TEXT
    ]  # fmt: skip


# From the command line fewer: runs of studies, below, go through the same parser and the same allowlist.
@pytest.mark.parametrize(("place", "path", "called"), spread([*PLACES], 20, (True, False)))
def test_no_place_of_a_config_takes_it(
    place: str, path: str, called: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = {"class_path": path, "init_args": HARMFUL[path]} if called else path
    Path("config.yaml").write_text(yaml.safe_dump(PLACES[place](spec)))
    error = refused([*FIT, "--config", "config.yaml"], capsys)
    assert path.rsplit(".", 1)[-1] in error or place.partition(" ")[0] in error, error


@pytest.mark.parametrize("path", ["os.system", "subprocess.Popen"])
def test_no_function_by_its_name_alone(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.yaml").write_text(yaml.safe_dump(PLACES["hook of a callback"](path)))
    assert path.rsplit(".", 1)[-1] in refused([*FIT, "--config", "config.yaml"], capsys)


@pytest.mark.parametrize(("place", "path"), spread([*PLACES], 5))
def test_no_run_of_a_study_takes_it(place: str, path: str) -> None:
    base: dict[str, Any] = {
        "seed_everything": 0, "data": "DigitsDataModule", "model": {"network": "GavierMNIST"},
        "trainer": {"max_epochs": 1, "accelerator": "cpu"},
    }  # fmt: skip
    hostile = PLACES[place]({"class_path": path, "init_args": HARMFUL[path]})
    settings = merge(base, hostile)
    with pytest.raises(UserError) as raised:
        build_run(settings)
    assert "\n" not in str(raised.value)
    assert unharmed()
    assert Path("kept").is_dir()


@pytest.mark.parametrize(
    "variants",
    [
        *HARMFUL,
        f"subprocess.Popen(args='touch {MARK}', shell=True)",
        f"Chain(layers=[subprocess.Popen(args='touch {MARK}', shell=True)])",
        f"__import__('os').system('touch {MARK}')",
        f"StandardDropout(p=open('{MARK}', 'w'))",
        f"StandardDropout(p=os.system(command='touch {MARK}'))",
        f"(lambda: open('{MARK}', 'w'))()",
        "(" * 3000,
    ],
)
def test_no_name_of_a_benchmark_takes_it(variants: str, capsys: pytest.CaptureFixture[str]) -> None:
    # It is made before anything is measured.
    Path("benchmark").mkdir()
    words = ["benchmark", "--networks", "GavierMNIST", "--variants", variants, "--device", "cpu"]
    assert "error" in refused(words, capsys)


OWN = """
from pathlib import Path
import torch
from pytorch_lightning import Callback
from dropout_lab.datamodules import DigitsDataModule
from dropout_lab.models.dropout import Dropout
from dropout_lab.models.networks import FullyConnected

class Halves(Dropout):
    def forward(self, x, target=None, weight=None):
        return x / 2

class Data(DigitsDataModule):
    pass

class Noted(Callback):
    def on_fit_start(self, trainer, pl_module):
        Path("noted").touch()

def rate(epoch):
    return 0.5

def halves() -> torch.nn.Module:
    return Halves()
"""


# A class of one's own is in test_surroundings.py, one of torch's in run/test_fitting.py.
@pytest.mark.parametrize(
    "dropout",
    [
        "mine.halves",
        pytest.param("mine.Halves", marks=pytest.mark.slow),
        pytest.param("torch.nn.Dropout", marks=pytest.mark.slow),
    ],
)
def test_what_is_ones_own_just_works(dropout: str) -> None:
    Path("mine.py").write_text(OWN)
    Path("config.yaml").write_text(yaml.safe_dump(scheduler("mine.rate")))
    main([*FIT, "--config", "config.yaml", "--data", "mine.Data", "--model.network.dropout", dropout,
          "--trainer.callbacks", "mine.Noted", "--name", "own"])  # fmt: skip
    assert Path("noted").exists()
    main(["test", "--run", "runs/own", "--trainer.limit_test_batches", "1"])


def test_functions_that_are_a_librarys_default_are_no_harm(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.yaml").write_text(yaml.safe_dump(callback("BackboneFinetuning")))
    with pytest.raises(SystemExit, match="2"):
        main([*FIT, "--config", "config.yaml", "--trainer.logger", "false"])
    # It may be named, and is refused for another reason.
    assert "BackboneFinetuning needs a model with an attribute backbone" in capsys.readouterr().err


LAUGHS = {
    new: f"&{new} [{','.join([f'*{old}'] * 10)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
}
TEXTS = {
    "python tag": "seed_everything: !!python/object/apply:os.system ['touch mark']\n",
    "billion laughs": "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{new}: {laugh}\n" for new, laugh in LAUGHS.items()),
    "bomb in a text": f"seed_everything: '[&a [x,x,x,x,x,x,x,x,x,x], {', '.join(LAUGHS.values())}]'\n",
    "in itself": "trainer: &a {callbacks: *a}\n",
    "deep": "seed_everything: " + "[" * 5000 + "]" * 5000 + "\n",
    "long": "# " + "x" * 2_000_000 + "\n",
    "no date": "seed_everything: !!timestamp 2020-13-45\n",
    "no number": "seed_everything: !!int many\n",
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_yaml_text_that_goes_too_far(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.yaml").write_text(TEXTS[text])
    assert len(refused([*FIT, "--config", "bad.yaml"], capsys)) < 1000
    assert len(refused(["study", "bad.yaml"], capsys)) < 1000


@pytest.mark.parametrize("where", ["http://127.0.0.1:9/config.yaml", "memory://config.yaml"])
def test_configs_come_from_files_alone(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no file" in refused([*FIT, "--config", where], capsys)


@pytest.mark.parametrize("key", ["__default_config__", "__path__", "__orig__", "config"])
def test_keys_of_the_parsers_own_open_nothing(key: str) -> None:
    Path("bad.yaml").write_text(f"{key}: trap.ckpt\n")
    with suppress(SystemExit):
        main([*FIT, "--config", "bad.yaml"])
    assert unharmed()


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run."""
    folder = tmp_path_factory.mktemp("honest")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main([*FIT, "--name", "run"])
    return folder


@pytest.mark.parametrize(
    "words",
    [
        [*FIT, "--ckpt_path", "trap.ckpt"],
        pytest.param(
            [
                *FIT,
                "--model.network",
                "VGG16",
                "--model.network.weights",
                "trap.ckpt",
                "--data.image_size",
                "32",
            ],
            marks=pytest.mark.slow,
        ),
        ["test", "--ckpt_path", "trap.ckpt", "--run"],
        # They read it as test does.
        pytest.param(["validate", "--ckpt_path", "trap.ckpt", "--run"], marks=pytest.mark.slow),
        pytest.param(["predict", "--ckpt_path", "trap.ckpt", "--run"], marks=pytest.mark.slow),
    ],
)
def test_a_checkpoint_with_code(words: list[str], honest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*words, str(honest / "runs" / "run")] if words[-1] == "--run" else words
    assert "trap.ckpt" in refused(words, capsys)


def test_what_a_preempted_job_has_left_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("trap.ckpt").rename("hpc_ckpt_1.ckpt")
    for name in (
        "SLURM_NTASKS",
        "SLURM_NTASKS_PER_NODE",
        "SLURM_JOB_ID",
        "SLURM_NODEID",
        "SLURM_PROCID",
        "SLURM_LOCALID",
    ):
        monkeypatch.setenv(name, "1" if "NTASKS" in name or "JOB" in name else "0")
    monkeypatch.setenv("SLURM_JOB_NAME", "job")
    main(FIT)
    assert unharmed()


def as_stranger(file: Path, change: dict[str, Any]) -> Path:
    content = torch.load(file, weights_only=True)
    content["hyper_parameters"].update(change)
    torch.save(content, "stranger.ckpt")
    return Path("stranger.ckpt")


@pytest.mark.parametrize(
    ("place", "path"),
    spread(
        ["network", "dropout", "layer of a chain", "optimizer", "scheduler", "argument of a scheduler"], 5
    ),
)
def test_settings_in_a_checkpoint(place: str, path: str, honest: Path) -> None:
    hostile = PLACES[place]({"class_path": path, "init_args": HARMFUL[path]})["model"]
    if "network" in hostile and isinstance(hostile["network"].get("init_args"), dict):
        hostile["network"]["init_args"].update(num_classes=10, image_shape=[1, 8, 8])
    file = as_stranger(honest / "runs/run/version_0/checkpoints/best.ckpt", hostile)
    with pytest.raises(ValueError, match=r"stranger.ckpt: its settings cannot be used") as raised:
        ImageClassifier.load_from_checkpoint(file)
    assert "\n" not in str(raised.value)
    assert unharmed()
    assert Path("kept").is_dir()


@pytest.mark.parametrize("change", [{"_instantiator": "os.system"}, {"_class_path": "subprocess.Popen"}])
def test_what_builds_a_checkpoints_classes(change: dict[str, str], honest: Path) -> None:
    file = as_stranger(honest / "runs/run/version_0/checkpoints/best.ckpt", change)
    with pytest.raises(ValueError, match="another class|not in the allowlist"):
        ImageClassifier.load_from_checkpoint(file)


def test_code_in_a_checkpoint_from_python(honest: Path) -> None:
    with pytest.raises(ValueError, match="trap.ckpt is no checkpoint of this program"):
        ImageClassifier.load_from_checkpoint("trap.ckpt")
    with pytest.raises(ValueError, match="weights_only must be True"):
        ImageClassifier.load_from_checkpoint("trap.ckpt", weights_only=False)
    assert unharmed()
    best = honest / "runs/run/version_0/checkpoints/best.ckpt"
    assert ImageClassifier.load_from_checkpoint(best, mc_samples=3).mc_samples == 3
    assert json.loads((best.parents[1] / "result.json").read_text())["fit"]["steps"] == 2
