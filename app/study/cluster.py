"""Ray itself: an own one on this machine or a running cluster, joined quietly and left as it was."""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.errors import UserError
from app.study.imports import import_paths

# Read when Ray is imported: what its daemons have to say of a dead worker is told in our own words.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
# Who hides GPUs from those that have asked for none depends on Ray's release: we do (ray_engine.Runs).
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# Its head has 15 s to come up otherwise, too few on a busy machine.
os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "60")
ADDRESS = "RAY_ADDRESS"


def joined() -> str | None:
    """Return the address of the cluster that the environment names; None: an own Ray on this machine."""
    address = os.environ.get(ADDRESS, "local")
    return None if address in ("", "local") else address


if joined() is None:
    # Nobody else's business: it then listens on the loopback address alone, as it does on macOS and Windows.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
try:
    import ray as ray  # by this name for the engine too: what is set above comes first
except ModuleNotFoundError as error:
    raise UserError(
        '--engine ray needs Ray, which is not installed: pip install "dropout-lab[cluster]"'
    ) from error

# Ray itself would try for minutes.
CONNECT_SECONDS = 5

# Only tasks and results pass through it; Ray's least is 75 MiB.
OBJECT_STORE_BYTES = 80 * 2**20

# The least of it that Ray counts in.
SLACK = 1e-4


@contextmanager
def connected(cpus: int) -> Iterator[None]:
    """Be connected to the cluster that is named, or else to an own Ray, which ends with this.

    Args:
        cpus: that the own Ray is to give away.

    Raises:
        UserError: there is nothing at the address, or it lets us not in.
    """
    # What is imported here by its path, as a user's own variant, is found by the workers too.
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "ERROR",
        "runtime_env": {"env_vars": {"PYTHONPATH": import_paths()}},
    }
    address = joined()
    try:
        if address is None:
            # Ray would leave one in the user's home else, and that changes how clusters are started there.
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            ray.init(
                "local",
                num_cpus=cpus,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                **quiet,
            )
        else:
            check_address(address)
            ray.init(address, **quiet)
    except UserError:
        raise
    except Exception as error:
        # Ray raises plain Exceptions too.
        where = f"join Ray at {ADDRESS}={address}" if address else "start Ray on this machine"
        lines = str(error).splitlines() or [type(error).__name__]
        raise UserError(f"cannot {where}: {lines[0]}") from error
    try:
        yield
    finally:
        ray.shutdown()


def check_address(address: str) -> None:
    """Find out in seconds whether anybody answers.

    Raises:
        UserError: nobody does, or it is no address.
    """
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if "/" in host or not (host and colon and port.isdecimal()):
        raise UserError(
            f"{ADDRESS}={address} is no HOST:PORT; `ray start --head` tells it, or unset {ADDRESS}"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"no Ray answers at {ADDRESS}={address} ({error}); start it there with `ray start --head`, "
            f"or unset {ADDRESS} to use this machine alone"
        ) from error


def room(threads: int, gpus: float | None) -> int:
    """Return how many runs the nodes that are alive could have at a time, were there no others.

    Args:
        threads: cores for each.
        gpus: for each, or a share of one; None: not said, which will do where there is none.

    Raises:
        UserError: no node is large enough, or it was not said what to do with the GPUs.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    there = sum(node.get("GPU", 0) for node in nodes)
    if gpus is None and there:
        raise UserError(
            f"Ray has {there:g} GPUs: say with --gpus_per_run how many each run gets, such as 1, 0.25, or 0 for none"
        )
    places = sum(_places(node, threads, gpus or 0) for node in nodes)
    if not places:
        largest = ", ".join(
            sorted({f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes})
        )
        raise UserError(
            f"a run needs {threads} CPUs and {gpus or 0:g} GPUs (--threads, --gpus_per_run), and no machine of "
            f"Ray's has them; there are {largest or 'none'}"
        )
    return places


def _places(node: dict[str, float], threads: int, gpus: float) -> int:
    places = node.get("CPU", 0) // threads
    if 0 < gpus < 1:
        # A share is of one GPU.
        places = min(places, node.get("GPU", 0) * ((1 + SLACK) // gpus))
    elif gpus:
        places = min(places, node.get("GPU", 0) // gpus)
    return int(places)
