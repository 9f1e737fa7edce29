"""The processes of a run: which of them this one is, whether they can meet, and their end when one has failed."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import TimeoutExpired

from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment, _is_srun_used
from lightning_utilities.core import rank_zero as rank_zero_module
from pytorch_lightning import Trainer
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from dropout_lab.app.cluster import ONE_PROCESS
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import is_opened_pipe
from dropout_lab.app.run.signals import leaving_signals_to_this_process

# Variables of the rank, by one that tells whose they are. What else has set RANK has started no process of a run.
LAUNCHERS = {"TORCHELASTIC_RUN_ID": "RANK", "JSM_NAMESPACE_SIZE": "JSM_NAMESPACE_RANK"}
# Of Lightning's own processes, and those that are started by hand, which meet at a port that all of them know.
MEETING = "MASTER_PORT"
IN_SLURM = f" (--ntasks-per-node, --nodes), {ONE_PROCESS}"
BY_HAND = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK")


def launched_rank() -> int:
    """Return a number that is 0 for the first of the processes that a launcher has started, and for one by itself.

    What is left of another program in the environment, as by a container's image or a notebook, does not count.
    """
    if _is_srun_used():
        return int(os.environ.get("SLURM_PROCID", 0))
    for launcher, rank in LAUNCHERS.items():
        if launcher in os.environ:
            return int(os.environ.get(rank, 0))
    if MEETING not in os.environ:
        return 0
    return max(int(os.environ.get(name, 0)) for name in BY_HAND)


def report_as(rank: int) -> None:
    """Let this process print, and warn, if it is the first of a run's."""
    # Lightning's own variable, which it fills when it is imported, from RANK, whoever has left that.
    rank_zero_module.rank_zero_only.rank = rank  # type: ignore[attr-defined]  # an attribute of a function


def check_processes(trainer: Trainer, sync_batchnorm: bool) -> None:
    """Check that a run's processes can meet, and can do what they are to do together."""
    environment = trainer._accelerator_connector.cluster_environment
    asked = trainer.num_devices * trainer.num_nodes
    # Lightning trains in as many as a launcher has started, or in each of them by itself, in silence.
    if not isinstance(environment, LightningEnvironment) and (started := environment.world_size()) != asked:
        raise UserError(
            f"{type(environment).__name__.removesuffix('Environment')} has started {started} processes, and "
            f"trainer.devices={trainer.num_devices} times trainer.num_nodes={trainer.num_nodes} are {asked}: give the "
            f"two the same number{IN_SLURM if isinstance(environment, SLURMEnvironment) else ''}"
        )
    if trainer.world_size == 1:
        return
    if isinstance(environment, LightningEnvironment) and environment.creates_processes_externally:
        size = os.environ.get("WORLD_SIZE", str(trainer.world_size))
        if MEETING not in os.environ or size != str(trainer.world_size):
            raise UserError(
                f"the environment variable LOCAL_RANK={os.environ['LOCAL_RANK']} says that the {trainer.world_size} "
                f"processes of this run are started by hand, and {MEETING} and WORLD_SIZE do not say where they meet: "
                "unset LOCAL_RANK, and they are started here"
            )
    if sync_batchnorm and trainer.strategy.root_device.type == "cpu":
        raise UserError(
            "trainer.sync_batchnorm is for processes on GPUs, and these are on CPUs: leave it out"
        )


def start_with(words: Sequence[str], found: Sequence[str]) -> None:
    """Let the processes that Lightning will start get what was in a pipe, in the place of the pipe in their command.

    ``found`` has, in the places of ``words``, what is taken for them.
    """
    read = {word: new for word, new in zip(words, found, strict=True) if is_opened_pipe(Path(_value(word)))}
    # Lightning starts them by the words of this process.
    sys.argv[1:] = [read.get(word, word) for word in sys.argv[1:]]


def _value(word: str) -> str:
    return word.partition("=")[2] if word.startswith("-") else word


def answer_signals_alone(trainer: Trainer) -> None:
    """Let the processes that Lightning will start leave Ctrl-C and the like to this one.

    One that ended before they have met would have this one killed by Lightning.
    """
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _SubprocessScriptLauncher):
        start = launcher._call_children_scripts

        def start_without_signals() -> None:
            with leaving_signals_to_this_process():
                start()

        launcher._call_children_scripts = start_without_signals  # type: ignore[method-assign]  # it has no hook


def end_others(trainer: Trainer, patience_s: float = 0.0) -> None:
    """End the processes that Lightning has started, which may wait for this one for ever.

    After so many seconds, in which they may end by themselves. By SIGKILL: one that waits for others in PyTorch's own
    code does not hear of SIGTERM.
    """
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _SubprocessScriptLauncher):
        others = [*launcher.procs]
        # Lightning watches them, and would end this process because they have ended.
        launcher.procs.clear()
        for process in others:
            try:
                process.wait(patience_s)
            except TimeoutExpired:
                process.kill()
                process.wait()
