"""The command line of ``benchmark``: its help answers at once, so torch is imported when something is measured."""

import math
import os
from argparse import Namespace
from pathlib import Path

from dropout_lab.app.errors import CommandParser, StoppedByUser, UserError, remedy
from dropout_lab.app.files import folder_for, local_path

DESCRIPTION = """\
Measure what each dropout variant costs: the layer alone, a whole training step, evaluation, memory. All variants take
turns in one process, so that a noisy machine is noisy to all of them; medians, and ratios within a turn.
Writes benchmark.csv and a figure; prints a table.

--scaling   how the cost of each layer grows with the units and with the batch, as an exponent
"""
EXAMPLE = """\
examples:
  dropout-lab benchmark
  dropout-lab benchmark --networks VGG16 "Backbone(name='resnet18')" --variants "MalDrop(rho=256)" mine.MyDropout
  dropout-lab benchmark --scaling
"""

NETWORKS = ["GavierMNIST", "MalDropCNN", "VGG16"]
LAYERS = [1000, 4096]


def parse(words: list[str]) -> Namespace:
    """Parse the words after ``benchmark``, or raise UserError."""
    if "--pipeline" in words:
        raise UserError(
            "--pipeline measures this project, not a variant, and is a script of its checkout now: "
            "python docs/pipeline.py --root DATA"
        )
    parser = _parser()
    options = parser.parse_args(words)
    sizes = ("networks", "layers", "batch_size", "image_shape")
    given = [f"--{name}" for name in sizes if getattr(options, name) != parser.get_default(name)]
    if options.scaling and given:
        raise UserError(f"--scaling measures layers of sizes of its own: leave out {', '.join(given)}")
    _check(options)
    return options


def _parser() -> CommandParser:
    parser = CommandParser("benchmark", DESCRIPTION, EXAMPLE)
    add = parser.add_argument
    # fmt: off
    add("--scaling", action="store_true", help="measure growth with units and batch instead")
    add("--networks", nargs="*", default=NETWORKS, metavar="NETWORK",
        help=f"names, import paths, with arguments as in Python if any (default: all three of {', '.join(NETWORKS)})")
    add("--layers", nargs="*", type=int, default=LAYERS, metavar="UNITS",
        help=f"also layers alone of so many units (default: {' '.join(map(str, LAYERS))})")
    add("--variants", nargs="+", metavar="VARIANT",
        help="likewise (default: all of this project); NoDropout and torch.nn.Dropout are always measured, to compare")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto",
        help="auto: a GPU if there is one (default)")
    add("--batch_size", type=int, metavar="N", help="images a batch (default: by network)")
    add("--image_shape", nargs=3, type=int, metavar=("C", "H", "W"),
        help="channels, height, width (default: the network's own)")
    add("--precision", choices=("32", "bf16", "16"), default="32",
        help="bf16 and 16 under autocast (default: 32)")
    add("--compile", action="store_true", help="compile networks and layers first")
    add("--seconds", type=float, default=60.0, metavar="S",
        help="time for each network and layer, warming up apart (default: 60)")
    add("--threads", type=int, metavar="N", help="torch's threads (default: torch's own choice)")
    add("--out", type=local_path, default=Path("benchmark"), metavar="DIR",
        help="folder of the files (default: benchmark)")
    # fmt: on
    return parser


def _check(options: Namespace) -> None:
    for name in ("batch_size", "threads"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise UserError(f"--{name} must be 1 or more, got {value}")
    if min(options.layers, default=2) < 2:
        raise UserError(f"--layers must be numbers of units, 2 or more, got {min(options.layers)}")
    if not 0 < options.seconds < math.inf:
        raise UserError(f"--seconds must be above 0 and finite, got {options.seconds:g}")
    if options.image_shape is not None and min(options.image_shape) < 1:
        shape = " ".join(map(str, options.image_shape))
        raise UserError(f"--image_shape must be three numbers, each 1 or more, got {shape}")
    if not (options.networks or options.layers):
        raise UserError("--networks and --layers are both empty: nothing is left to measure")
    there = next(each for each in (options.out, *options.out.parents) if each.exists())
    if not there.is_dir():
        raise UserError(
            f"--out: cannot make the folder {options.out}: {there} is a file; choose another --out"
        )


def run(words: list[str]) -> None:
    """Measure; whatever keeps it from doing so is a UserError."""
    options = parse(words[1:])
    # Read when torch is imported: what its profiler says of itself is no concern of a user's.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        # Before anything is measured, which takes minutes.
        with folder_for(options.out):
            _measure(options)
    except KeyboardInterrupt:
        left = f"; what was written until then is in {options.out}" if options.out.is_dir() else ""
        raise StoppedByUser(f"interrupted{left}") from None
    except (RuntimeError, ValueError) as error:
        line = remedy(error, "--compile", "a smaller --batch_size or --image_shape, or another variant,")
        if line is None:
            raise
        raise UserError(line) from error


def _measure(options: Namespace) -> None:
    import torch

    from dropout_lab.app.benchmark import scaling, steps
    from dropout_lab.app.benchmark.classes import choose_variants
    from dropout_lab.app.benchmark.subjects import LayerSubject, NetworkSubject, Setup, choose_device
    from dropout_lab.app.console import print_line

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    setup = Setup(choose_device(options.device), options.precision, options.compile)
    variants = choose_variants(options.variants)
    print_line(f"measured on  {setup}")
    if options.scaling:
        scaling.benchmark(variants, setup, options.seconds, options.out)
    else:
        shape, batch_size = options.image_shape, options.batch_size
        layers = [LayerSubject(units, batch_size) for units in dict.fromkeys(options.layers)]
        networks = [NetworkSubject(name, shape, batch_size) for name in dict.fromkeys(options.networks)]
        steps.benchmark([*layers, *networks], variants, setup, options.seconds, options.out)
