"""The command line of ``benchmark``: its help answers at once, so nothing here imports torch."""

import importlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dropout_lab.app.errors import CommandParser, StoppedByUser, UserError, remedy
from dropout_lab.app.files import folder_for

DESCRIPTION = """\
Measure what each dropout variant costs: the layer alone, a whole training step, evaluation, memory. All variants take
turns in one process, so that a noisy machine is noisy to all of them; medians, and ratios within a turn.
Writes benchmark.csv and a figure; prints a table.

--scaling   how the cost of each layer grows with the units and with the batch, as an exponent
--pipeline  images a second of each data module against torchvision, and fit against a plain PyTorch script and
            against a bare loop over tensors in memory
"""
EXAMPLE = """\
examples:
  dropout-lab benchmark
  dropout-lab benchmark --networks VGG16 "Backbone(name='resnet18')" --variants "MalDrop(rho=256)" mine.MyDropout
  dropout-lab benchmark --pipeline --root data
"""

NETWORKS = ("GavierMNIST", "MalDropCNN", "VGG16")
LAYERS = (1000, 4096)
ROOT = Path("data")


@dataclass(frozen=True)
class Options:
    """What ``benchmark`` is asked for.

    Attributes:
        networks: as :mod:`dropout_lab.app.benchmark.names` reads them.
        layers: units of layers that are measured alone.
        variants: as :mod:`dropout_lab.app.benchmark.names` reads them; None: all of this project.
        device: ``auto``, ``cpu``, ``cuda``.
        batch_size: images a batch; None: the network's study's, or 100.
        image_shape: channels, height, width; None: the network's own.
        precision: of the numbers: ``32``, or ``bf16`` and ``16`` under autocast.
        compile: whether networks and layers are compiled.
        seconds: how long each network or layer is measured.
        threads: of torch; None leaves it alone.
        out: folder of the files.
        scaling: measure growth.
        pipeline: measure data modules and fits.
        root: folder of the data sets.
    """

    networks: tuple[str, ...]
    layers: tuple[int, ...]
    variants: tuple[str, ...] | None
    device: str
    batch_size: int | None
    image_shape: tuple[int, int, int] | None
    precision: str
    compile: bool
    seconds: float
    threads: int | None
    out: Path
    scaling: bool
    pipeline: bool
    root: Path

    def refuse(self, way: str, *names: str) -> None:
        """Refuse options that a way to measure takes no notice of.

        Args:
            way: to measure, and what it does.
            names: of the options.

        Raises:
            UserError: one of them is given.
        """
        given = {
            "--networks": self.networks != NETWORKS,
            "--layers": self.layers != LAYERS,
            "--variants": self.variants is not None,
            "--batch_size": self.batch_size is not None,
            "--image_shape": self.image_shape is not None,
            "--precision": self.precision != "32",
            "--compile": self.compile,
            "--root": self.root != ROOT,
        }
        wrong = [name for name in names if given[name]]
        if wrong:
            raise UserError(f"{way}: leave out {', '.join(wrong)}")


def parse(words: list[str]) -> Options:
    """Parse the words after ``benchmark``.

    Raises:
        UserError: an option is wrong.
        SystemExit: help was asked for and given.
    """
    parser = CommandParser("benchmark", DESCRIPTION, EXAMPLE)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--scaling", action="store_true", help="measure growth with units and batch instead")
    what.add_argument("--pipeline", action="store_true", help="measure data modules and whole fits instead")
    parser.add_argument("--networks", nargs="*", default=NETWORKS, metavar="NETWORK",
                        help="names, import paths, with arguments as in Python if any (default: all three of "
                        f"{', '.join(NETWORKS)})")  # fmt: skip
    parser.add_argument("--layers", nargs="*", type=int, default=LAYERS, metavar="UNITS",
                        help=f"also layers alone of so many units (default: {' '.join(map(str, LAYERS))})")  # fmt: skip
    parser.add_argument("--variants", nargs="+", metavar="VARIANT",
                        help="likewise (default: all of this project); NoDropout and torch.nn.Dropout are always "
                        "measured, to compare")  # fmt: skip
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto",
                        help="auto: a GPU if there is one (default)")  # fmt: skip
    parser.add_argument("--batch_size", type=int, metavar="N", help="images a batch (default: by network)")
    parser.add_argument("--image_shape", nargs=3, type=int, metavar=("C", "H", "W"),
                        help="channels, height, width (default: the network's own)")  # fmt: skip
    parser.add_argument("--precision", choices=("32", "bf16", "16"), default="32",
                        help="bf16 and 16 under autocast (default: 32)")  # fmt: skip
    parser.add_argument("--compile", action="store_true", help="compile networks and layers first")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S",
                        help="time for each network and layer, warming up apart (default: 60)")  # fmt: skip
    parser.add_argument(
        "--threads", type=int, metavar="N", help="torch's threads (default: torch's own choice)"
    )
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR",
                        help="--pipeline: folder of the data sets (default: data)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("benchmark"), metavar="DIR",
                        help="folder of the files (default: benchmark)")  # fmt: skip
    given = parser.parse_args(words)
    least_one = {"--batch_size": given.batch_size, "--threads": given.threads}
    for name, value in least_one.items():
        if value is not None and value < 1:
            raise UserError(f"{name} must be 1 or more, got {value}")
    for units in given.layers:
        if units < 2:
            raise UserError(f"--layers must be numbers of units, 2 or more, got {units}")
    if not 0 < given.seconds < math.inf:
        raise UserError(f"--seconds must be above 0 and finite, got {given.seconds:g}")
    if given.image_shape is not None and min(given.image_shape) < 1:
        shape = " ".join(map(str, given.image_shape))
        raise UserError(f"--image_shape must be three numbers, each 1 or more, got {shape}")
    if not (given.networks or given.layers):
        raise UserError("--networks and --layers are both empty: nothing is left to measure")
    there = next(each for each in (given.out, *given.out.parents) if each.exists())
    if not there.is_dir():
        raise UserError(f"--out: cannot make the folder {given.out}: {there} is a file; choose another --out")
    return Options(
        networks=tuple(given.networks),
        layers=tuple(given.layers),
        variants=None if given.variants is None else tuple(given.variants),
        device=given.device,
        batch_size=given.batch_size,
        image_shape=None if given.image_shape is None else tuple(given.image_shape),
        precision=given.precision,
        compile=given.compile,
        seconds=given.seconds,
        threads=given.threads,
        out=given.out,
        scaling=given.scaling,
        pipeline=given.pipeline,
        root=given.root,
    )


def run(words: list[str]) -> None:
    """Measure.

    Raises:
        UserError: an option is wrong, or something cannot be measured.
    """
    options = parse(words[1:])
    # Read when torch is imported: what its profiler says of itself is no concern of a user's.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    name = "scaling" if options.scaling else "pipeline" if options.pipeline else "steps"
    try:
        # Before anything is measured, which takes minutes.
        with folder_for(options.out):
            # torch takes seconds to import; help does not wait for it.
            measure: Callable[[Options], None] = importlib.import_module(
                f"dropout_lab.app.benchmark.{name}"
            ).benchmark
            measure(options)
    except KeyboardInterrupt:
        left = f"; what was written until then is in {options.out}" if options.out.is_dir() else ""
        raise StoppedByUser(f"interrupted{left}") from None
    except RuntimeError as error:
        line = remedy(error, "--compile", "a smaller --batch_size or --image_shape, or another variant,")
        if line is None:
            raise
        raise UserError(line) from error
