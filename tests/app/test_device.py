"""Images kept on a device, from the command line, where there is no GPU."""

import json
from pathlib import Path

import pytest

from dropout_lab.app.main import main

FIT = (
    "fit --data DigitsDataModule --model.network FullyConnected --model.network.hidden [8] --trainer.max_epochs 1 "
    "--trainer.accelerator cpu --trainer.logger false"
)


def test_a_gpu_where_the_trainer_takes_the_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(f"{FIT} --data.device cuda".split())
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "device='cuda': the trainer computes on cpu" in message
    assert "--data.device auto or null" in message
    assert not Path("runs").exists()


def test_auto_trains_as_ever_and_is_no_other_setting() -> None:
    for name, device in (("one", "null"), ("two", "auto")):
        main(f"{FIT} --data.device {device} --data.augment true --name {name}".split())
    one, two = (json.loads(Path(f"runs/{name}/version_0/result.json").read_text()) for name in ("one", "two"))
    assert one["fit"]["metrics"] == two["fit"]["metrics"]
    main("test --run runs/two --data.device cpu --trainer.accelerator cpu".split())
    assert "test" in json.loads(Path("runs/two/version_0/result.json").read_text())
