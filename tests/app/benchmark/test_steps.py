"""The command, end to end, on something small."""

import csv
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dropout_lab.app.benchmark import scaling, steps
from dropout_lab.app.benchmark.classes import NONE, TORCH
from dropout_lab.app.benchmark.scaling import exponent
from dropout_lab.app.main import main

COLUMNS = "network,variant,device,batch_size,step_ms,step_ms_p95,ratio_to_none,ratio_to_torch,eval_ms,peak_mb"
SMALL = ["--seconds", "0.05", "--image_shape", "1", "8", "8", "--batch_size", "4", "--device", "cpu"]
TINY = "FullyConnected(hidden=[9])"


def rows(file: Path) -> list[dict[str, str]]:
    with file.open() as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_layers_and_networks_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    Path("costly.py").write_text("from torch import nn\n\n\nclass Own(nn.Dropout):\n    pass\n")
    words = [
        "--variants",
        "MalDrop(rho=2)",
        "DropConnect",
        "costly.Own",
        "--networks",
        TINY,
        "--layers",
        "16",
    ]
    main(["benchmark", *words, *SMALL, "--out", "costs"])
    assert Path("costs/benchmark.csv").read_text().splitlines()[0] == COLUMNS
    found = rows(Path("costs/benchmark.csv"))
    assert [(row["network"], row["variant"]) for row in found] == [
        ("Layer(units=16)", NONE), ("Layer(units=16)", TORCH), ("Layer(units=16)", "MalDrop(rho=2)"),
        ("Layer(units=16)", "costly.Own"),
        (TINY, NONE), (TINY, TORCH), (TINY, "MalDrop(rho=2)"), (TINY, "DropConnect"), (TINY, "costly.Own"),
    ]  # fmt: skip
    for row in found:
        assert row["device"] == "cpu"
        assert row["batch_size"] == "4"
        assert float(row["step_ms_p95"]) >= float(row["step_ms"]) > 0
        assert float(row["eval_ms"]) > 0
        assert float(row["peak_mb"]) > 0
        assert (row["variant"] == NONE) <= (float(row["ratio_to_none"]) == 1.0)
        assert (row["variant"] == TORCH) <= (float(row["ratio_to_torch"]) == 1.0)
    assert Path("costs/benchmark.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert "measured on  cpu" in printed
    assert "left out     DropConnect in Layer(units=16): DropConnect masks weights" in printed
    assert f"{TINY}, batch 4: a training step" in printed
    assert "written      costs: benchmark.csv, benchmark.png" in printed


@pytest.mark.slow
def test_growth(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interleave(ways: Mapping[str, Callable[[], float]], *others: Any) -> pd.DataFrame:
        """Do each step, and return what a step would take that costs time by the unit and by the root of the batch."""
        units, batch_size = (int(each.replace(",", "")) for each in re.findall(r"[\d,]*\d", others[1]))
        assert all(step() > 0 for step in ways.values())
        return pd.DataFrame({name: [1e-6 * units * batch_size**0.5] for name in ways})

    monkeypatch.setattr(scaling, "interleave", interleave)
    main(["benchmark", "--scaling", "--variants", "SpatialDropout", "--seconds", "0.1", "--device", "cpu"])
    (torchs, ours) = rows(Path("benchmark/exponents.csv"))
    assert (torchs["variant"], ours["variant"]) == (TORCH, "SpatialDropout")
    assert float(ours["in_units"]) == pytest.approx(1, abs=1e-3)
    assert float(ours["in_batch"]) == pytest.approx(0.5, abs=1e-3)
    sizes = [(int(row["units"]), int(row["batch_size"])) for row in rows(Path("benchmark/scaling.csv"))]
    assert set(sizes) == {(u, 64) for u in (1024, 4096, 16384, 65536)} | {
        (4096, b) for b in (16, 64, 256, 1024)
    }
    assert Path("benchmark/scaling.png").is_file()
    assert "Exponents" in capsys.readouterr().out


@pytest.mark.parametrize("power", [0.0, 1.0, 2.1])
def test_an_exponent_is_the_slope_of_logarithms(power: float) -> None:
    sizes = (16, 64, 1000)
    assert exponent(sizes, [3e-4 * size**power for size in sizes]) == pytest.approx(power, abs=1e-12)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--device", "cuda"], "torch sees no GPU here; leave --device out"),
        (["--device", "tpu"], "invalid choice: 'tpu'.*see benchmark --help"),
        (["--seconds", "0"], "--seconds must be above 0 and finite, got 0"),
        (["--batch_size", "0"], "--batch_size must be 1 or more, got 0"),
        (["--threads", "-1"], "--threads must be 1 or more, got -1"),
        (["--layers", "1"], "--layers must be numbers of units, 2 or more, got 1"),
        (["--layers", "--networks"], "nothing is left to measure"),
        (["--pipeline", "--root", "data"], "is a script .*python docs/pipeline.py --root DATA"),
        (
            ["--variants", "DropAkt", "--layers", "16", "--networks"],
            "no dropout variant 'DropAkt'.*did you mean DropAct",
        ),
        (
            ["--variants", "DropAct", "DropAkt", "--layers", "16", "--networks"],
            "no dropout variant 'DropAkt'",
        ),
        (["--variants", "DropAct", "--layers", "16", "--networks", "FullyConnected"], "missing: .*hidden"),
        (["--variants", "StandardDropout(p=1.5)", "--networks"], "p must be in"),
        (["--scaling", "--variants", "StandardDropout(p=1.5)"], "p must be in"),
        (
            ["--scaling", "--networks", "VGG16", "--batch_size", "3"],
            "--scaling measures layers .*: leave out --networks, --batch_size",
        ),
        (["--root", "elsewhere"], "unrecognized arguments: --root elsewhere; see benchmark --help"),
        (["--out", "taken"], "--out: cannot make the folder taken: taken is a file"),
        (["--scaling", "--out", "taken/costs"], "--out: cannot make the folder taken/costs: "),
        (["--variants", "DropAct(", "--layers", "16", "--networks"], "is no class as benchmark reads it"),
        (
            ["--networks", "VGG15", "--layers", "--variants", "DropAct"],
            "no network 'VGG15'.*did you mean VGG16",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken").write_text("a file")
    with pytest.raises(SystemExit) as end:
        main(["benchmark", *words])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("dropout-lab: error: ")
    assert re.search(reason, line), line
    assert not list(Path().rglob("*.csv"))


def raising(error: BaseException) -> Callable[..., None]:
    def measure(*_: object) -> None:
        raise error

    return measure


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (KeyboardInterrupt(), 130, "^dropout-lab: interrupted$"),
        (
            RuntimeError("InvalidCxxCompiler: No working C++ compiler found\n\nmore"),
            2,
            "--compile needs a C\\+\\+ compiler",
        ),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 2, "a smaller --batch_size"),
    ],
)
def test_what_stops_it_is_said_in_a_line(
    error: BaseException,
    code: int,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(steps, "benchmark", raising(error))
    with pytest.raises(SystemExit) as end:
        main(["benchmark", "--variants", "DropAct"])
    assert end.value.code == code
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(reason, line), line


def test_other_errors_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "benchmark", raising(RuntimeError("a defect")))
    with pytest.raises(RuntimeError, match="a defect"):
        main(["benchmark", "--variants", "DropAct"])
