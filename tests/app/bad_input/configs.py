"""Config files that are none, or not of this program."""

import os
from pathlib import Path

from tests.app.bad_input.row import FIT, Row, file, folder

CONFIG = f"{FIT} --config c.yaml"
SPARE = "fit --config c.yaml --data DigitsDataModule --trainer.accelerator cpu"
NETWORK = "model: {network: {class_path: GavierMNIST, init_args: %s}}\n"


def _row(content: str | bytes, *says: str, command: str = CONFIG) -> Row:
    return Row(command, says, file("c.yaml", content))


ROWS = {
    "a folder": Row(
        CONFIG, ("no file c.yaml .Is a directory.; give the path of a YAML file",), folder("c.yaml")
    ),
    "no such file": Row(
        CONFIG, ("no file c.yaml .No such file or directory.; give the path of a YAML file",)
    ),
    "by an equals sign": Row(f"{FIT} --config=c.yaml", ("no file c.yaml .No such file",)),
    "not UTF-8": _row(b"\x80\x81\xff", "c.yaml: is no text in UTF-8; save it as such"),
    "zero bytes": _row(b"trainer:\x00 3", "c.yaml: unacceptable character #x0000"),
    "empty": _row("", "c.yaml: must be keys and values, got nothing; see the files in configs/"),
    "a list": _row("- 3\n- 4\n", "c.yaml: must be keys and values, got list; see the files in configs/"),
    "a word": _row("hello\n", "c.yaml: must be keys and values, got str"),
    "two of a key": _row(
        "data: {seed: 3}\ndata: {seed: 4}\n", "c.yaml: line 2: data stands twice; mend the YAML there"
    ),
    "two of a key below": _row(
        "trainer:\n  max_steps: 3\n  max_steps: 4\n", "c.yaml: line 3: max_steps stands twice"
    ),
    "a tab": _row("trainer:\n\tmax_epochs: 3\n", r"c.yaml: line 2: found character '\\t' that cannot start"),
    "an open quote": _row(
        'data: {root: "x}\n', "c.yaml: line 2: found unexpected end of stream; mend the YAML"
    ),
    "an unknown anchor": _row("trainer: *nothing\n", "c.yaml: line 1: found undefined alias"),
    "a Python object": _row(
        "trainer: !!python/object:os.system {}\n", "c.yaml: line 1: could not determine a constr"
    ),
    "unknown at the top": _row(
        "trainr: {max_epochs: 3}\n", "no option --trainr.max_epochs; did you mean --trainer"
    ),
    "unknown and empty at the top": _row("trainr: {}\n", "c.yaml: no option trainr; did you mean trainer"),
    "unknown in the model": _row(
        "model: {networks: {}}\n", "c.yaml: no option model.networks; did you mean network"
    ),
    "unknown in the trainer": _row(
        "trainer: {max_epoch: 3}\n", "c.yaml: no option trainer.max_epoch; did you mean max_e"
    ),
    "unknown in the network": _row(
        NETWORK % "{rate: [0.1]}", "no option model.network.rate; did you mean rates"
    ),
    "unknown in the variant": _row(
        NETWORK % "{dropout: {class_path: StandardDropout, init_args: {prob: 0.1}}}",
        "no option model.network.dropout.prob; there are p, inverted",
    ),
    "arguments without a class": _row(
        NETWORK % "{dropout: {p: 0.5}}",
        "no option model.network.dropout.p; it takes none: is its class_path the one",
    ),
    "a list for a class": _row(
        NETWORK % "{dropout: [1]}", "model.network.dropout: Expected an import path .* got .1."
    ),
    "a number for a class": _row("model: {network: 3}\n", "model.network: must be a Network", command=SPARE),
    "null for a network": _row(
        "model: {network: null}\n", "missing: model.network; give each as a flag", command=SPARE
    ),
    "null for the data": _row(
        "data: null\n",
        "missing: data; give each as a flag",
        command="fit --config c.yaml --model.network GavierMNIST",
    ),
    "a list for the model": _row(
        "model: [1]\n", r"c.yaml: model: must be keys and values, got \[1\]; or leave it out"
    ),
    "a word for the trainer": _row(
        "trainer: fast\n", "c.yaml: trainer: must be keys and values, got 'fast'; or leave"
    ),
    "null for the trainer": _row(
        "trainer: null\n", "c.yaml: trainer: must be keys and values, got None; or leave"
    ),
    "truth for a number": _row(
        "trainer: {max_epochs: yes}\n", "trainer.max_epochs: must be of type int, got 'True'"
    ),
    "a list for the seed": _row(
        "seed_everything: [1]\n", r"seed_everything: must be of type bool or int, got '\[1\]'"
    ),
    "a pipe": Row(
        CONFIG, ("no file c.yaml: it is a pipe; give the path of a YAML file",), lambda: os.mkfifo("c.yaml")
    ),
    "a device": Row(f"{FIT} --config /dev/zero", ("no file /dev/zero: it is a device; give the path",)),
    "a device for the data": Row(
        "fit --data /dev/zero --model.network GavierMNIST",
        ("/dev/zero is a device, no file or folder; give another path",),
    ),
    "a pipe for the trainer": Row(
        f"{FIT} --trainer pipe", ("pipe is a pipe, no file or folder",), lambda: os.mkfifo("pipe")
    ),
    "a link to itself": Row(
        CONFIG,
        ("no file c.yaml .*; give the path of a YAML file",),
        lambda: Path("c.yaml").symlink_to("c.yaml"),
    ),
    "escape sequences": _row("a\\x1b[2Jb: 3\n", r"no option --a.{1,2}x1b\[2Jb"),
    "a study": _row(
        "name: tiny\ngrid: {p: [1]}\n", "c.yaml is a study, a grid of runs: dropout-lab study c.yaml"
    ),
}
