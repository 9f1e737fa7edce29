"""Run folders and checkpoints that are missing, damaged or of something else."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from tests.app.bad_input.row import FIT, RUN, Row, file, folder

TEST = f"test --run {RUN}"
BEST = RUN / "checkpoints" / "best.ckpt"
DAMAGED = f"{BEST} is no checkpoint of this program, or it is damaged"
OTHER = f"{FIT} --model.network.hidden [9] --ckpt_path {BEST}"


def _changed(path: Path, change: Callable[[bytes], bytes]) -> Callable[[], object]:
    def write() -> None:
        path.write_bytes(change(path.read_bytes()))

    return write


def _weights_alone() -> None:
    content = torch.load(BEST, weights_only=True)
    torch.save({key: content[key] for key in ("state_dict", "global_step")}, "weights.ckpt")


def _other_state() -> None:
    content = torch.load(BEST, weights_only=True)
    content["optimizer_states"][0]["state"][0]["exp_avg"] = torch.zeros(3)
    torch.save(content, "weights.ckpt")


def _pipe(path: Path) -> Callable[[], object]:
    def make() -> None:
        path.unlink(missing_ok=True)
        os.mkfifo(path)

    return make


def _run(says: str, prepare: Callable[[], object], command: str = TEST) -> Row:
    return Row(command, (says,), prepare, run=True)


def _cut(share: float) -> Row:
    return _run(DAMAGED, _changed(BEST, lambda content: content[: int(share * len(content))]))


ROWS = {
    "no such run": Row(
        "test --run runs/none", ("no run folder runs/none; `fit` makes one and prints its name",)
    ),
    "a run without a config": _run(
        f"no run in {RUN}: neither it nor a version_<n> in it has a config.yaml", (RUN / "config.yaml").unlink
    ),
    "a run without checkpoints": _run(
        f"no checkpoint {BEST.with_name('last.ckpt')}; .*Name another with --ckpt_path",
        lambda: shutil.rmtree(RUN / "checkpoints"),
    ),
    "a config that was cut": _run(
        f"{RUN}/config.yaml: line .*mend the YAML",
        _changed(RUN / "config.yaml", lambda content: content[:-1] + b": ["),
    ),
    "a config of bytes": _run(
        f"{RUN}/config.yaml: is no text in UTF-8", file(str(RUN / "config.yaml"), b"\xff\xfe")
    ),
    "a config without data": _run(
        f"{RUN}/config.yaml is damaged: data must be keys and values, and it is missing",
        file(str(RUN / "config.yaml"), "seed_everything: 3\n"),
    ),
    "results that were cut": _run(
        f"{RUN}/result.json is damaged .*mend it, or move it away",
        _changed(RUN / "result.json", lambda content: content[:-9]),
    ),
    "results of another kind": _run(
        f"{RUN}/result.json is damaged .*move it away", file(str(RUN / "result.json"), "[1, 2]")
    ),
    "results of metrics in a list": _run(
        f"{RUN}/result.json is damaged .fit.metrics: .*, got .1..*move it away",
        file(str(RUN / "result.json"), '{"fit": {"metrics": [1]}}'),
    ),
    "results nested without end": _run(
        f"{RUN}/result.json is damaged .*recursion limit.*move it away",
        file(str(RUN / "result.json"), '{"fit":' * 100_000),
    ),
    "a pipe for results": _run(f"{RUN}/result.json is damaged .*it is a pipe", _pipe(RUN / "result.json")),
    "a pipe for a checkpoint": _run(
        "pipe is a pipe, no file or folder; give another path",
        _pipe(Path("pipe")),
        f"{TEST} --ckpt_path pipe",
    ),
    "a device for a checkpoint": _run(
        "/dev/zero is a device, no file or folder; give another",
        lambda: None,
        f"{TEST} --ckpt_path /dev/zero",
    ),
    "a pipe for a run's config": _run(f"no run in {RUN}", _pipe(RUN / "config.yaml")),
    "a home of nobody": Row(
        f"{FIT} --runs ~nobody-such/runs", ("~nobody-such/runs: there is no such home folder; ",)
    ),
    "data at a home of nobody": Row(
        f"{FIT} --data MNISTDataModule --data.root ~nobody-such",
        ("a path begins with ~, and there is no such user",),
    ),
    "a link to itself": Row(
        f"{FIT} --runs loop",
        ("cannot make the run folder loop/.*Too many levels of symbolic links",),
        lambda: Path("loop").symlink_to("loop"),
    ),
    "settings edited in a run's config": _run(
        "best.ckpt was trained with other settings than .*config.yaml has: data.val_size differ",
        _changed(RUN / "config.yaml", lambda content: re.sub(rb"val_size: .*", b"val_size: 100", content)),
    ),
    "a state of another shape": _run(
        r"weights.ckpt is of another fit, .*exp_avg is a tensor of shape \(3,\)",
        _other_state,
        f"{FIT} --ckpt_path weights.ckpt",
    ),
    "results of numbers": _run(
        f"{RUN}/result.json is damaged .*move it away", file(str(RUN / "result.json"), '{"fit": 3}')
    ),
    "no such checkpoint": _run(
        "no checkpoint file none.ckpt; a run's own are in its folder",
        lambda: None,
        f"{TEST} --ckpt_path none.ckpt",
    ),
    "empty checkpoint": _cut(0),
    "truncated checkpoint": _cut(0.5),
    "checkpoint without its end": _cut(0.99),
    "checkpoint of a few bytes": _run(DAMAGED, _changed(BEST, lambda content: content[:3])),
    "checkpoint of text": _run(DAMAGED, file(str(BEST), "weights, to come\n")),
    "checkpoint that is a folder": _run(
        "no checkpoint file there; ", folder("there"), f"{TEST} --ckpt_path there"
    ),
    "checkpoint of another network": _run(
        f"{BEST} is a checkpoint of another network: .*--run FOLDER takes them", lambda: None, OTHER
    ),
    "checkpoint of another optimizer": _run(
        f"{BEST} was trained with another optimizer than SGD: continue with",
        lambda: None,
        f"{FIT} --model.optimizer SGD --model.optimizer.lr 0.1 --ckpt_path {BEST}",
    ),
    "weights alone to continue": _run(
        "weights.ckpt holds weights alone, no optimizer's state",
        _weights_alone,
        f"{FIT} --ckpt_path weights.ckpt",
    ),
    "a run at a file": Row(
        f"{FIT} --runs file", ("cannot make the run folder file/.*; choose another --runs",), file("file", "")
    ),
    "a run below a file": Row(
        f"{FIT} --runs file/deep",
        ("cannot make the run folder file/deep/.*choose another --runs",),
        file("file", ""),
    ),
    "a run of a long name": Row(
        f"{FIT} --name {300 * 'n'}",
        ("cannot make the run folder runs/nnn.*File name too long; choose another",),
    ),
    "a zero byte in a path": Row(
        f"{FIT} --config c.yaml",
        ("a path holds a zero byte; take it out",),
        file("c.yaml", 'runs: "a\\0b"\n'),
    ),
    "a name with a slash": Row(
        f"{FIT} --name /a", ("name must be a single word for a folder, got '/a'; see --runs",)
    ),
    "a name of dots": Row(
        f"{FIT} --name ..", ("name must be a single word for a folder, got '..'; see --runs",)
    ),
    "a name of one dot": Row(
        f"{FIT} --name .", ("name must be a single word for a folder, got '.'; see --runs",)
    ),
}
