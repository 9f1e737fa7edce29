"""What is copied from a page runs."""

import shlex
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from dropout_lab import DropIn, MalDrop, StandardDropout
from dropout_lab.app.config.settings import merge
from dropout_lab.app.main import main
from dropout_lab.app.report.snippets import snippets


def run(dropout: Any, **others: Any) -> dict[str, Any]:
    """Return the settings of a run."""
    network = {"class_path": "FullyConnected", "init_args": {"hidden": [8], "dropout": dropout}}
    return {"seed_everything": 0, "model": {"network": network}, **others}


NONE = run({"class_path": "NoDropout"})
MALDROP = {"class_path": "MalDrop", "init_args": {"rho": 2}}
STANDARD = {
    "class_path": "dropout_lab.models.dropout.StandardDropout",
    "init_args": {"p": 0.2, "inverted": True},
}
CHAIN = {
    "class_path": "Chain",
    "init_args": {"layers": [STANDARD, {"class_path": "DropIn", "init_args": {"p": 0.1}}]},
}


def texts(settings: dict[str, Any], baseline: dict[str, Any] = NONE) -> dict[str, str]:
    return {each.name: each.text for each in snippets(settings, baseline)}


def printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    """Return the dropout of a fit's config."""
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--config", "quickstart", *words, "--print_config"])
    assert not ended.value.code
    network = yaml.safe_load(capsys.readouterr().out)["model"]["network"]
    return network["init_args"]["dropout"]


@pytest.mark.parametrize("spec", [MALDROP, STANDARD, CHAIN, "NoDropout"])
def test_yaml_and_flags_give_the_dropout(
    spec: Any, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    found = texts(run(spec), run({"class_path": "DropIn"}))
    file = tmp_path / "winner.yaml"
    file.write_text(found["YAML"])
    by_file, by_flags = (
        printed(words, capsys) for words in (["--config", str(file)], shlex.split(found["flags"]))
    )
    assert by_file == by_flags
    wanted = spec if isinstance(spec, dict) else {"class_path": spec}
    assert by_file["class_path"].rpartition(".")[2] == wanted["class_path"].rpartition(".")[2]
    rest = {name: each for name, each in wanted.get("init_args", {}).items() if name != "layers"}
    assert rest.items() <= (by_file.get("init_args") or {}).items()


def swapped(spec: Any) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3))
    names = {"model": model, "images": torch.randn(5, 4), "target": torch.tensor([0, 1, 2, 0, 1])}
    exec(texts(run(spec))["swap_dropout"], names)
    logits = names["logits"]
    assert isinstance(logits, torch.Tensor)
    assert logits.shape == (5, 3)
    return model


def test_the_python_swaps_the_dropout() -> None:
    assert [
        float(each.p) for each in swapped(STANDARD).modules() if isinstance(each, StandardDropout)
    ] == pytest.approx([0.2])
    assert [float(each.rho) for each in swapped(MALDROP).modules() if isinstance(each, MalDrop)] == [2]
    assert sum(isinstance(each, StandardDropout | DropIn) for each in swapped(CHAIN).modules()) == 2
    alpha = swapped({"class_path": "torch.nn.AlphaDropout", "init_args": {"p": 0.1}})
    assert any(isinstance(each, nn.AlphaDropout) for each in alpha.modules())


def test_what_else_differs_is_there_and_said() -> None:
    other = merge(
        run(MALDROP),
        {"trainer": {"max_epochs": 5}, "model": {"optimizer": {"class_path": "torch.optim.SGD"}}},
    )
    found = texts(other, merge(NONE, {"trainer": {"max_epochs": 3}, "seed_everything": 4}))
    content = yaml.safe_load(found["YAML"])
    assert content["trainer"] == {"max_epochs": 5}
    assert content["model"]["optimizer"] == {"class_path": "torch.optim.SGD"}
    assert "seed_everything" not in content
    assert "--trainer.max_epochs 5" in found["flags"]
    assert (
        "# its runs differ from the baseline's in this too: model.optimizer, trainer.max_epochs"
        in found["swap_dropout"]
    )


def test_without_another_dropout_there_is_no_python() -> None:
    assert snippets(NONE, NONE) == []
    assert set(texts(merge(NONE, {"trainer": {"max_epochs": 5}}), NONE)) == {"YAML", "flags"}
    # A rate alone: the dropout is whole all the same.
    one, other = (run({"class_path": "DropIn", "init_args": {"p": p}}) for p in (0.1, 0.2))
    assert yaml.safe_load(texts(other, one)["YAML"])["model"]["network"]["init_args"]["dropout"] == {
        "class_path": "DropIn", "init_args": {"p": 0.2},
    }  # fmt: skip
