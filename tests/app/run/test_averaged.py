"""Weights that a callback puts into a checkpoint in the place of those that are trained."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dropout_lab.app.main import main
from tests.app.run.runs import RUN, STEPS, outcome, write_fit
from tests.app.run.test_interrupted import assert_same, until_finished, with_interrupter

EMA = {"class_path": "EMAWeightAveraging", "init_args": {"decay": 0.9}}

IMAGES = 63
"""To train on."""
STOPS = {
    "class_path": "EarlyStopping",
    "init_args": {"monitor": "val/loss", "min_delta": 100.0, "patience": 1},
}


def with_callbacks(words: list[str], *callbacks: dict[str, Any]) -> list[str]:
    """Add callbacks to a command's config; return the command."""
    file = Path(words[2])
    config = yaml.safe_load(file.read_text())
    config["trainer"]["callbacks"].extend(callbacks)
    file.write_text(yaml.safe_dump(config))
    return words


@pytest.mark.slow
def test_best_holds_the_averages_that_were_validated(capsys: pytest.CaptureFixture[str]) -> None:
    main(with_callbacks(write_fit(Path("one")), EMA, STOPS))
    main(["validate", "--run", str(RUN)])
    result = json.loads((RUN / "result.json").read_text())
    assert result["validate"]["metrics"] == pytest.approx(result["fit"]["metrics"], rel=1e-6)
    best = torch.load(RUN / "checkpoints/best.ckpt", weights_only=True)
    trained, averaged = best["current_model_state"], best["state_dict"]
    differ = {name for name, value in averaged.items() if not torch.equal(value, trained[name])}
    assert differ == {
        name for name, _ in averaged.items() if not name.endswith(("pass_rate", "pass_samples"))
    }
    # What MalDrop has counted is no weight, and is that of the network that was trained.
    (samples,) = (value for name, value in averaged.items() if name.endswith("pass_samples"))
    assert samples == IMAGES * result["fit"]["best_step"] / STEPS
    # Why it has ended is said, and stays.
    assert result["fit"]["ended"].startswith(
        "EarlyStopping: Monitored metric val/loss did not improve in the last 1"
    )
    assert "ended        EarlyStopping: Monitored" in capsys.readouterr().out


@pytest.mark.slow
def test_averages_go_on_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("first").mkdir()
    with monkeypatch.context() as patch:
        patch.chdir("first")
        main(with_callbacks(write_fit(Path("one")), EMA))
        expected = outcome(RUN)
    words = with_callbacks(write_fit(Path("one")), EMA)
    with_interrupter(words, dict.fromkeys([2, STEPS - 1, STEPS + 3], signal.SIGTERM))
    assert until_finished(words, [*words, "--resume"], 4) == [143] * 3
    assert_same(expected)
