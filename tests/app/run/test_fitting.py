"""fit, validate, test and predict as a user runs them, on the embedded digits."""

import csv
import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torchvision.models import get_model

from dropout_lab.app.main import main
from dropout_lab.app.run.folder import RunFolder
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import StandardDropout
from tests import programs

FIT = (
    "fit --data DigitsDataModule --model.network FullyConnected --model.network.hidden [16] --name run "
    "--model.network.dropout StandardDropout --model.network.dropout.p 0.3 --trainer.max_epochs 3 "
    "--trainer.log_every_n_steps 5 --trainer.accelerator cpu"
).split()
RUN = Path("runs/run/version_0")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a run was fitted, validated, tested and predicted with."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(FIT)
        for command in ("validate", "test", "predict"):
            main([command, "--run", "runs/run", "--trainer.accelerator", "cpu"])
    return folder


@pytest.fixture(scope="module")
def by_flags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with an optimizer, a scheduler and a checkpoint of the user's, seldom validated."""
    folder = tmp_path_factory.mktemp("by_flags")
    optimizer = "--model.optimizer SGD --model.optimizer.lr 0.1"
    scheduler = "--model.scheduler StepLR --model.scheduler.step_size 1 --model.scheduler.gamma 0.5"
    checkpoint = "--trainer.callbacks ModelCheckpoint --trainer.callbacks.monitor val/accuracy"
    place = "--trainer.callbacks.mode max --trainer.callbacks.dirpath mine"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = f"{optimizer} {scheduler} {checkpoint} {place} --trainer.check_val_every_n_epoch 2"
        main([*FIT, *words.split()])
        main(["test", "--run", "runs/run", "--trainer.accelerator", "cpu"])
    return folder


def test_the_run_folder_holds_everything(finished: Path) -> None:
    names = {path.name.split(".tfevents")[0] for path in (finished / RUN).rglob("*")}
    assert names == {
        "config.yaml", "checkpoints", "best.ckpt", "last.ckpt", "result.json", "predictions.csv",
        "hparams.yaml", "events.out", ".lock", "epochs.csv",
    }  # fmt: skip
    assert {path.name for path in finished.iterdir()} == {"runs"}


def test_result(finished: Path) -> None:
    result = json.loads((finished / RUN / "result.json").read_text())
    assert result["fit"]["epochs"] == 3
    assert result["fit"]["steps"] == 39
    assert result["fit"]["best_step"] in (13, 26, 39)
    for part in ("fit", "validate", "test"):
        assert set(result[part]["metrics"]) == {"loss", "accuracy", "top5", "nll", "ece"}
    assert result["validate"]["metrics"]["accuracy"] == pytest.approx(result["fit"]["metrics"]["accuracy"])
    assert result["test"]["checkpoint"].endswith("best.ckpt")


def test_predictions(finished: Path) -> None:
    with (finished / RUN / "predictions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["index", "prediction", "probability", "label", "predicted_class", "class"]
    assert [int(row["index"]) for row in rows] == list(range(359))
    assert all(0.1 <= float(row["probability"]) <= 1 for row in rows)
    accuracy = sum(row["prediction"] == row["label"] for row in rows) / len(rows)
    result = json.loads((finished / RUN / "result.json").read_text())
    assert accuracy == pytest.approx(result["test"]["metrics"]["accuracy"])


def test_tensorboard_pages(finished: Path) -> None:
    pages = EventAccumulator(str(finished / RUN)).Reload()
    tags = pages.Tags()
    for tag in ("train/loss", "train/loss_step", "train/accuracy", "val/loss", "val/accuracy", "lr-Adam"):
        assert tag in tags["scalars"]
    assert [event.step for event in pages.Scalars("val/accuracy")] == [12, 25, 38]
    # The test stands at the step of its weights, and adds no point elsewhere.
    best_step = json.loads((finished / RUN / "result.json").read_text())["fit"]["best_step"]
    assert [event.step for event in pages.Scalars("test/accuracy")] == [best_step]
    assert min(event.step for event in pages.Scalars("epoch")) > 0
    assert set(tags["images"]) == {"first batch/as stored", "first batch/as the network sees it"}
    assert tags["graph"]
    result = json.loads((finished / RUN / "result.json").read_text())
    for tag, part in (("hp/val_accuracy", "fit"), ("hp/test_accuracy", "test")):
        assert pages.Scalars(tag)[-1].value == pytest.approx(result[part]["metrics"]["accuracy"])


def test_hyperparameters_tab_tells_runs_apart(finished: Path) -> None:
    settings = yaml.safe_load((finished / RUN / "hparams.yaml").read_text())
    assert settings["network"] == "FullyConnected"
    assert settings["dropout"] == "StandardDropout"
    assert settings["dropout.p"] == 0.3
    assert settings["data"] == "DigitsDataModule"
    assert settings["optimizer.lr"] == 1e-3
    assert settings["seed"] == 0


def test_checkpoints_load_safely_and_by_themselves(finished: Path) -> None:
    file = finished / RUN / "checkpoints" / "best.ckpt"
    model = ImageClassifier.load_from_checkpoint(file, weights_only=True)
    assert isinstance(model.network.head.stage.dropout, StandardDropout)
    assert model.network.head.stage.dropout.p == 0.3
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_the_saved_config_runs_again_to_the_same_result(finished: Path) -> None:
    main(["fit", "--config", str(finished / RUN / "config.yaml")])
    (again, first) = (
        json.loads((folder / RUN / "result.json").read_text())["fit"] for folder in (Path(), finished)
    )
    for result in (again, first):
        assert result.pop("time")["train_seconds"] > 0
    assert again == first


def test_flags_win_over_the_runs_config(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (finished / RUN / "result.json").read_text()
    main(["test", "--run", str(finished / RUN), "--data.test_size", "100", "--trainer.fast_dev_run", "1"])
    assert (finished / RUN / "result.json").read_text() == before


def test_a_rehearsal_leaves_nothing_behind() -> None:
    main([*FIT, "--trainer.fast_dev_run", "1"])
    assert not Path("runs").exists()


def test_without_validation_the_last_checkpoint_is_tested(capsys: pytest.CaptureFixture[str]) -> None:
    main([*FIT, "--trainer.limit_val_batches", "0"])
    with pytest.raises(SystemExit):
        main(["test", "--run", "runs/run", "--ckpt_path", "best"])
    assert "best.ckpt needs validation" in capsys.readouterr().err
    main(["test", "--run", "runs/run"])
    assert "test last" in json.loads((RUN / "result.json").read_text())


CHANGES = {
    "data.seed": ["--data.seed", "5"],
    "trainer.limit_test_batches": ["--trainer.limit_test_batches", "1"],
    "model.network.dropout.inverted": ["--model.network.dropout.inverted", "false"],
    "the checkpoint": ["--ckpt_path", "elsewhere.ckpt"],
}


# Each is named where all are changed at once; one alone is reason enough.
@pytest.mark.parametrize(
    "changes", [[*CHANGES], *(pytest.param([name], marks=pytest.mark.slow) for name in CHANGES)], ids=str
)
def test_figures_that_are_not_the_runs_own_are_shown_and_not_written(
    changes: list[str], finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (finished / RUN / "result.json").read_text()
    Path("elsewhere.ckpt").write_bytes((finished / RUN / "checkpoints" / "best.ckpt").read_bytes())
    words = [word for name in changes for word in CHANGES[name]]
    main(["test", "--run", str(finished / RUN), "--trainer.accelerator", "cpu", *words])
    output = capsys.readouterr().out
    assert "not written into" in output
    assert all(name in output for name in changes), output
    assert "accuracy" in output
    assert (finished / RUN / "result.json").read_text() == before


def test_a_batch_size_of_its_own_does_not_change_what_is_measured(finished: Path) -> None:
    before = json.loads((finished / RUN / "result.json").read_text())
    main(["test", "--run", str(finished / RUN), "--trainer.accelerator", "cpu", "--data.batch_size", "7"])
    after = json.loads((finished / RUN / "result.json").read_text())
    assert after["test"]["metrics"] == pytest.approx(before["test"]["metrics"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_a_run_that_continues_a_validation_reports_the_weights_that_it_keeps(finished: Path) -> None:
    best = finished / RUN / "checkpoints" / "best.ckpt"
    done = torch.load(best, weights_only=True)["global_step"]
    # It goes on from the validation at an epoch's end, and gets worse.
    assert done % 13 == 0
    epochs = ["--trainer.max_epochs", str(done // 13 + 1)]
    main([*FIT, "--ckpt_path", str(best), *epochs, "--model.network.dropout.p", "0.99"])
    main(["validate", "--run", "runs/run", "--trainer.accelerator", "cpu"])
    result = json.loads((RUN / "result.json").read_text())
    assert result["fit"]["steps"] == done + 13
    assert result["fit"]["metrics"] == pytest.approx(result["validate"]["metrics"], rel=1e-5)
    assert result["fit"]["metrics"]["accuracy"] > 0.1


@pytest.mark.slow
def test_a_scheduled_p_is_measured_as_the_fit_measured_it() -> None:
    Path("schedule.yaml").write_text(
        "trainer:\n  callbacks+:\n    - class_path: RhoScheduler\n      init_args:\n"
        "        schedule: {class_path: Linear, init_args: {start: 0.1, end: 0.9}}\n"
    )
    main([*FIT, "--config", "schedule.yaml", "--model.network.dropout.inverted", "false"])
    validate = ["validate", "--run", "runs/run", "--trainer.accelerator", "cpu"]
    main(validate)
    result = json.loads((RUN / "result.json").read_text())
    assert result["validate"]["metrics"] == pytest.approx(result["fit"]["metrics"], rel=1e-5)
    # That p matters: with another one it is another figure.
    best = RUN / "checkpoints" / "best.ckpt"
    state = torch.load(best, weights_only=True)
    (key,) = (key for key in state["callbacks"] if key.startswith("RhoScheduler"))
    done = result["fit"]["best_step"] - 1
    expected = {"network.head.stage.dropout": pytest.approx(0.1 + 0.8 * done / 39)}
    assert state["callbacks"][key]["values"] == expected
    state["callbacks"][key]["values"]["network.head.stage.dropout"] = 0.05
    torch.save(state, best)
    main(validate)
    changed = json.loads((RUN / "result.json").read_text())["validate"]["metrics"]
    assert changed["nll"] != pytest.approx(result["validate"]["metrics"]["nll"])


def test_callbacks_of_the_users_own_stand_beside_ours(by_flags: Path) -> None:
    assert list((by_flags / "mine").glob("*.ckpt"))
    assert (by_flags / RUN / "checkpoints" / "best.ckpt").is_file()
    assert "test" in json.loads((by_flags / RUN / "result.json").read_text())


def test_the_last_checkpoint_is_the_last(by_flags: Path) -> None:
    steps = {
        name: torch.load(by_flags / RUN / "checkpoints" / f"{name}.ckpt", weights_only=True)["global_step"]
        for name in ("best", "last")
    }
    assert steps == {"best": 26, "last": 39}


def test_optimizer_and_scheduler_from_flags(by_flags: Path) -> None:
    pages = EventAccumulator(str(by_flags / RUN)).Reload()
    rates = [event.value for event in pages.Scalars("lr-SGD")]
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.025)


def test_no_checkpoints_and_no_logger_if_the_user_wants_none() -> None:
    main([*FIT, "--trainer.enable_checkpointing", "false", "--trainer.logger", "false"])
    assert {path.name for path in RUN.iterdir()} == {".lock", "config.yaml", "epochs.csv", "result.json"}


@pytest.mark.parametrize(
    "precision",
    ["bf16-true", *(pytest.param(other, marks=pytest.mark.slow) for other in ("64-true", "bf16-mixed"))],
)
def test_other_precisions_have_a_graph_too(precision: str) -> None:
    main([*FIT, "--trainer.precision", precision, "--trainer.max_epochs", "1"])
    assert EventAccumulator(str(RUN)).Reload().Tags()["graph"]


def test_without_a_name_and_an_end() -> None:
    words = [word for word in FIT if word not in ("--name", "run", "--trainer.max_epochs", "3")]
    main([*words, "--trainer.limit_train_batches", "1", "--trainer.limit_val_batches", "1"])
    # What was run, and ten epochs.
    run = Path("runs/digits-fullyconnected-standarddropout/version_0")
    assert json.loads((run / "result.json").read_text())["fit"]["epochs"] == 10


def test_configs_and_flags_compose_and_later_ones_win() -> None:
    Path("a.yaml").write_text("model: {network: {class_path: FullyConnected, init_args: {hidden: [8]}}}\n")
    Path("b.yaml").write_text(
        "model: {network: {init_args: {dropout: torch.nn.AlphaDropout, hidden: [9]}}}\n"
    )
    main(
        "fit --config a.yaml --config b.yaml --data DigitsDataModule --trainer.max_epochs 1 --name x".split()
    )
    network = yaml.safe_load(Path("runs/x/version_0/config.yaml").read_text())["model"]["network"]
    assert network["init_args"]["hidden"] == [9]
    assert network["init_args"]["dropout"]["class_path"] == "torch.nn.AlphaDropout"


# As test_surroundings.py has it, with libraries' names beside it.
@pytest.mark.slow
def test_a_variant_of_ones_own_in_the_folder_one_stands_in() -> None:
    Path("mine.py").write_text(
        "from torch import nn\nclass Half(nn.Module):\n    def forward(self, x):\n        return x / 2\n"
    )
    words = [word for word in FIT if word not in ("--model.network.dropout.p", "0.3")]
    done = programs.run(*words, "--model.network.dropout", "mine.Half", "--trainer.fast_dev_run", "1")
    assert done.returncode == 0, done.stderr


def test_data_of_ones_own_need_three_attributes_and_read() -> None:
    Path("own.py").write_text(
        "import torch\n"
        "from dropout_lab.datamodules import ImageDataModule, Images, Splits\n"
        "class Own(ImageDataModule):\n"
        "    num_classes, class_names, stored_shape = 2, ('a', 'b'), (1, 6, 4)\n"
        "    def read(self):\n"
        "        part = Images(torch.randint(0, 256, (20, 1, 6, 4), dtype=torch.uint8), torch.arange(20) % 2)\n"
        "        return Splits(part, part, part)\n"
    )
    main("fit --data own.Own --model.network FullyConnected --model.network.hidden [4] --name own "
         "--trainer.max_epochs 1 --trainer.accelerator cpu".split())  # fmt: skip
    main(["test", "--run", "runs/own", "--trainer.accelerator", "cpu"])


def test_of_a_run_that_may_only_be_read_the_figures_are_shown(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (finished / RUN / "result.json").read_text()

    def refuse(folder: RunFolder, command: str, figures: dict[str, Any]) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder.result_file))

    # Root, who may run the tests, may write anywhere.
    monkeypatch.setattr(RunFolder, "add_result", refuse)
    main(["test", "--run", str(finished / RUN), "--trainer.accelerator", "cpu"])
    output = capsys.readouterr().out
    assert "accuracy" in output
    assert f"not written into {finished / RUN}: Read-only file system" in output
    assert (finished / RUN / "result.json").read_text() == before
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **how: mode != os.W_OK and access(path, mode, **how))
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "--run", str(finished / RUN), "--trainer.accelerator", "cpu"])
    assert "predictions.csv cannot be written: copy the run's folder" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_is_tested_and_resumed_without_the_weights_it_started_from() -> None:
    torch.save(get_model("shufflenet_v2_x0_5", weights=None).state_dict(), "weights.pth")
    network = (
        "--model.network Backbone --model.network.name shufflenet_v2_x0_5 --model.network.weights weights.pth"
    )
    data = (
        "--data DigitsDataModule --data.train_limit 20 --data.image_size 32 --data.batch_size 20 --name run"
    )
    trainer = "--trainer.max_epochs 1 --trainer.accelerator cpu --trainer.logger false"
    limits = "--trainer.limit_val_batches 1 --trainer.limit_test_batches 1"
    main(["fit", *f"{network} {data} {trainer} {limits}".split()])
    Path("weights.pth").unlink()
    main(["test", "--run", "runs/run"])
    assert "test" in json.loads((RUN / "result.json").read_text())
    main(["fit", "--resume", str(RUN), "--trainer.max_epochs", "2", "--force"])
    assert json.loads((RUN / "result.json").read_text())["fit"]["epochs"] == 2
