"""What a cluster's launcher has put into the environment, checked before Lightning reads it. No torch here."""

import os
from collections.abc import Mapping

from dropout_lab.app.errors import UserError

# Which process of how many this is, as Lightning reads it, partly when it is imported.
NUMBERS = (
    "RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_PORT", "JSM_NAMESPACE_RANK",
    "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_NTASKS", "SLURM_NNODES",
)  # fmt: skip
# What each process of a job has, and what srun alone gives. Slurm's interactive jobs are no such processes.
OF_A_TASK = ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID")
STEP = "SLURM_STEP_ID"
INTERACTIVE = ("bash", "interactive")
ONE_PROCESS = "or, to train in one process, set SLURM_JOB_NAME=interactive"


def check_cluster(environment: Mapping[str, str] | None = None) -> None:
    """Check the variables of torchrun and Slurm; UserError names the one that is wrong, its value and the remedy."""
    given = os.environ if environment is None else environment
    for name in NUMBERS:
        value = given.get(name)
        if value is not None and not (value.isascii() and value.isdecimal()):
            raise UserError(
                f"the environment variable {name} must be a number, got {value!r}; start with torchrun or srun, which "
                "set it, or unset it"
            )
    if "SLURM_NTASKS" not in given or given.get("SLURM_JOB_NAME") in INTERACTIVE:
        return
    tasks, a_node = int(given["SLURM_NTASKS"]), given.get("SLURM_NTASKS_PER_NODE")
    if a_node is None and tasks != 1:
        raise UserError(
            f"a job of Slurm's with SLURM_NTASKS={tasks}, but without SLURM_NTASKS_PER_NODE: ask for "
            f"--ntasks-per-node=N, one for each device, in the place of --ntasks, {ONE_PROCESS}"
        )
    # A script's first process waits for the others, which nobody has started.
    needed = OF_A_TASK if tasks == 1 else (*OF_A_TASK, STEP)
    if missing := [name for name in needed if name not in given]:
        raise UserError(
            f"a job of Slurm's with SLURM_NTASKS={tasks}, but without {', '.join(missing)}: this process was not "
            f"started by srun; write `srun dropout-lab …` in the job's script, {ONE_PROCESS}"
        )
    if a_node is not None and not (a_node.isascii() and a_node.isdecimal()):
        raise UserError(
            f"SLURM_NTASKS_PER_NODE must be the same number on all nodes, got {a_node!r}: ask for "
            f"--ntasks-per-node=N, {ONE_PROCESS}"
        )
    if not int(given["SLURM_PROCID"]) < tasks:
        raise UserError(
            f"SLURM_PROCID must be below SLURM_NTASKS, {tasks}, got {given['SLURM_PROCID']}: a step within a step? "
            f"Start it by one srun, {ONE_PROCESS}"
        )
    job = given.get("SLURM_JOB_ID")
    if job is not None and "MASTER_PORT" not in given and not (job[-4:].isascii() and job[-4:].isdecimal()):
        raise UserError(
            f"SLURM_JOB_ID must be a number, of which the port is made where processes meet, got {job!r}; set "
            "MASTER_PORT"
        )
