"""Options that make a fit faster, from the command line."""

from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from torch._inductor.utils import fresh_cache

from dropout_lab.app.main import main
from dropout_lab.app.run.folder import RunFolder
from dropout_lab.models import ImageClassifier

REPOSITORY = Path(__file__).parents[2]
FIT = ["fit", "--config", str(REPOSITORY / "configs" / "quickstart.yaml"), "--name", "run"]
SMALL = ["--trainer.accelerator", "cpu", "--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2"]


@pytest.mark.slow
def test_a_run_that_was_made_with_all_of_them_is_evaluated_as_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What is traced runs as it stands; tests/models/test_compiled.py makes machine code of it.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    main([*FIT, *SMALL, "--config", str(REPOSITORY / "configs" / "speed.yaml")])
    run = RunFolder(Path("runs/run/version_0"))
    settings = yaml.safe_load(run.config.read_text())["model"]
    assert (settings["compile"], settings["channels_last"]) == ("default", True)
    main(["test", "--run", "runs/run"])
    # A run of an earlier version knows nothing of these options.
    text = yaml.safe_load(run.config.read_text())
    del text["model"]["compile"], text["model"]["channels_last"]
    run.config.write_text(yaml.safe_dump(text))
    main(["predict", "--run", "runs/run"])
    assert run.result()["test"]["metrics"]["loss"] > 0
    assert run.predictions.is_file()
    model = ImageClassifier.load_from_checkpoint(run.checkpoint("best"), weights_only=True)
    assert model.compile_mode == "default"


@pytest.mark.slow  # it waits for the compiler that is not there
def test_without_a_compiler_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    # In another cache, so that nothing compiled before is found.
    compiler = torch._inductor.config.patch({"cpp.cxx": ("no-such-compiler",)})
    with fresh_cache(), compiler, pytest.raises(SystemExit) as ended:
        main([*FIT, *SMALL, "--model.compile", "default"])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert "model.compile needs a C++ compiler" in error
    assert "no-such-compiler" in error
    assert "Traceback" not in error
    assert not Path("runs").exists()
