"""What Slurm and torchrun put into the environment, whole and in parts."""

import pytest

from dropout_lab.app.cluster import check_cluster
from dropout_lab.app.errors import UserError

TASK = {
    "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "4",
    "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NODELIST": "localhost",
    "SLURM_STEP_ID": "0",
}  # fmt: skip


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in TASK.items() if name not in names}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        TASK,
        {**TASK, "SLURM_JOB_NAME": "bash", "SLURM_NTASKS_PER_NODE": "2(x3)"},
        # A batch script starts Python without srun, as one process.
        {**without("SLURM_NTASKS_PER_NODE", "SLURM_STEP_ID"), "SLURM_NTASKS": "1"},
        without("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_PROCID"),
        {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "29500"},
    ],
)
def test_as_they_should_be(environment: dict[str, str]) -> None:
    check_cluster(environment)


@pytest.mark.parametrize(
    ("environment", "pattern"),
    [
        (
            without("SLURM_NTASKS_PER_NODE"),
            "SLURM_NTASKS=4, but without SLURM_NTASKS_PER_NODE: .*--ntasks-per-node",
        ),
        (without("SLURM_STEP_ID"), "SLURM_NTASKS=4, but without SLURM_STEP_ID: .*not started by srun"),
        (without("SLURM_PROCID"), "SLURM_NTASKS=4, but without SLURM_PROCID: .*srun"),
        (
            {"SLURM_NTASKS": "1"},
            "without SLURM_PROCID, SLURM_LOCALID, SLURM_NODEID: .*SLURM_JOB_NAME=interactive",
        ),
        ({**TASK, "SLURM_NTASKS": "many"}, "SLURM_NTASKS must be a number, got 'many'"),
        ({**TASK, "SLURM_NTASKS": ""}, "SLURM_NTASKS must be a number, got ''"),
        ({**TASK, "SLURM_NTASKS_PER_NODE": "2(x3)"}, r"the same number on all nodes, got '2\(x3\)'"),
        ({**TASK, "SLURM_PROCID": "-1"}, "SLURM_PROCID must be a number, got '-1'"),
        ({**TASK, "SLURM_PROCID": "4"}, "SLURM_PROCID must be below SLURM_NTASKS, 4, got 4"),
        ({**TASK, "SLURM_NNODES": "1-2"}, "SLURM_NNODES must be a number, got '1-2'"),
        ({**TASK, "SLURM_JOB_ID": "7_x"}, "SLURM_JOB_ID must be a number, .* got '7_x'"),
        ({"LOCAL_RANK": ""}, "LOCAL_RANK must be a number, got ''; start with torchrun or srun"),
        ({"RANK": "²"}, "RANK must be a number, got '²'"),
        ({"WORLD_SIZE": "2.0"}, "WORLD_SIZE must be a number, got '2.0'"),
    ],
)
def test_in_parts(environment: dict[str, str], pattern: str) -> None:
    with pytest.raises(UserError, match=pattern) as raised:
        check_cluster(environment)
    assert "\n" not in str(raised.value)
