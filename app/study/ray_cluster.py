"""Runs on Ray: the machines are Ray's to choose, and each worker does one run after another there."""

import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, cast, final
from uuid import uuid4

from joblib import cpu_count

from dropout_lab.app.errors import UserError
from dropout_lab.app.study.one_run import prepare
from dropout_lab.app.study.run_files import RunTask
from dropout_lab.app.study.scheduler import Answer, Died, Engine, Free, OnEvent, Worker
from dropout_lab.app.study.worker import VISIBLE, do_run, import_environment

ADDRESS = "RAY_ADDRESS"


def cluster_address() -> str | None:
    """Return the address of the cluster that the environment names; None: an own Ray on this machine."""
    address = os.environ.get(ADDRESS, "local")
    return None if address in ("", "local") else address


# Ray reads these when it is imported.
# What its daemons have to say of a dead worker is told in our own words.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
# Who hides GPUs from those that have asked for none depends on Ray's release: we do (RunActor).
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# Its head has 15 s to come up otherwise, too few on a busy machine.
os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "60")
if cluster_address() is None:
    # Nobody else's business: it then listens on the loopback address alone, as it does on macOS and Windows.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
try:
    import ray
except ModuleNotFoundError as error:
    raise UserError(
        '--engine ray needs Ray, which is not installed: pip install "dropout-lab[cluster]"'
    ) from error

# Ray itself would try for minutes.
CONNECT_SECONDS = 5
# Until a file that was written here is seen on another machine.
SHARE_SECONDS = 10.0
# Only tasks and results pass through it; Ray's least is 75 MiB.
OBJECT_STORE_BYTES = 80 * 2**20
# The least of a GPU that Ray counts in.
SLACK = 1e-4


@final
class RayEngine(Engine):
    """Ray actors, each of which imports torch once and keeps its data, its cores and its share of a GPU.

    Threads of torch are cores to Ray. ``gpus`` are for each, or a share of one; None: not said, which will do where
    there is none.
    """

    def __init__(
        self, jobs: int | None, threads: int, timeout: float | None = None, gpus: float | None = None
    ) -> None:
        super().__init__(jobs or (None if cluster_address() else cpu_count()), threads, timeout)
        self.gpus = gpus
        self._mark = Path()
        check_address()

    def run(self, tasks: Sequence[RunTask], on_event: OnEvent) -> None:
        """Do all runs; at the end, and when interrupted, no worker is left, and no Ray of our own."""
        if not tasks:
            return
        folder = tasks[0].files.path.parent
        folder.mkdir(parents=True, exist_ok=True)
        self._mark = folder.absolute() / f".{uuid4().hex}"
        with connected((self.jobs or 1) * self.threads):
            self._mark.touch()
            try:
                super().run(tasks, on_event)
            except ray.exceptions.RayError as error:
                raise UserError(
                    f"Ray itself was lost: {_in_one_line(error)}; what is done is kept: give the command again"
                ) from error
            finally:
                self._mark.unlink()

    def _room(self) -> int:
        # Machines come and go.
        places = capacity(self.threads, self.gpus)
        return self.jobs or places

    def _start(self) -> Worker:
        remote: Any = ray.remote(RunActor)
        options = remote.options(num_cpus=self.threads, num_gpus=self.gpus or 0, max_restarts=0)
        return _Actor(options.remote(self.threads), self._mark)

    def _wait(self, workers: Sequence[Worker]) -> None:
        expected = [each.expected for each in cast(Sequence[_Actor], workers) if each.expected is not None]
        if expected:
            ray.wait(expected, timeout=self.look_seconds, fetch_local=False)


@contextmanager
def connected(cpus: int) -> Iterator[None]:
    """Be connected to the cluster that is named, or else to an own Ray with so many CPUs, which ends with this."""
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    # What is imported here by its path, as a user's own variant, is found by the workers too.
    options["runtime_env"] = {"env_vars": {"PYTHONPATH": import_environment()["PYTHONPATH"]}}
    address = cluster_address()
    if address is None:
        options |= {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        # Ray would leave one in the user's home else, and that changes how clusters are started there.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        ray.init(address or "local", **options)
    except Exception as error:
        # Ray raises plain Exceptions too.
        where = f"join Ray at {ADDRESS}={address}" if address else "start Ray on this machine"
        raise UserError(f"cannot {where}: {(str(error) or type(error).__name__).splitlines()[0]}") from error
    try:
        yield
    finally:
        ray.shutdown()


def check_address() -> None:
    """Find out in seconds whether anybody answers where the environment says."""
    address = cluster_address()
    if address in (None, "auto"):
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


def capacity(threads: int, gpus: float | None) -> int:
    """Return how many runs the nodes that are alive could have at a time, were there no others."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    there = sum(node.get("GPU", 0) for node in nodes)
    if gpus is None and there:
        raise UserError(
            f"Ray has {there:g} GPUs: say with --gpus_per_run how many each run gets, such as 1, 0.25, or 0 for none"
        )
    places = sum(_places(node, threads, gpus or 0) for node in nodes)
    if not places:
        sizes = {f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes}
        raise UserError(
            f"a run needs {threads} CPUs and {gpus or 0:g} GPUs (--threads, --gpus_per_run), and no machine of "
            f"Ray's has them; there are {', '.join(sorted(sizes)) or 'none'}"
        )
    return places


def _places(node: dict[str, float], threads: int, gpus: float) -> int:
    cores, there = node.get("CPU", 0) // threads, node.get("GPU", 0)
    if not gpus:
        return int(cores)
    # A share is of one GPU.
    return int(min(cores, there * ((1 + SLACK) // gpus) if gpus < 1 else there // gpus))


@final
class RunActor:
    """Does runs; the body of a worker with so many threads of torch."""

    def __init__(self, threads: int) -> None:
        if not ray.get_runtime_context().get_accelerator_ids().get("GPU"):
            os.environ[VISIBLE] = ""
        self.threads = threads
        prepare(threads)

    @staticmethod
    def look(folder: Path, mark: Path, patience: float) -> str | None:
        """Go to the driver's folder; return what is wrong, such as that a file which it wrote is not seen in time."""
        start = monotonic()
        while not (folder.is_dir() and mark.exists()):
            if monotonic() - start > patience:
                unseen = mark.parent if folder.is_dir() else folder
                return (
                    f"the machine {socket.gethostname()} does not see the driver's {unseen}: on a cluster the folder "
                    "where the command is given and --studies must be on a file system that all machines share"
                )
            sleep(Engine.look_seconds)
        os.chdir(folder)
        return None

    def do(self, task: RunTask) -> Answer:
        """Do a run."""
        return do_run(task, self.threads)


@final
class _Actor(Worker):
    """The driver's end of a worker; ``expected`` is its next word, the first of which is on what it sees."""

    def __init__(self, actor: Any, mark: Path) -> None:
        self._actor = actor
        self.expected: ray.ObjectRef[Any] | None = actor.look.remote(Path.cwd(), mark, SHARE_SECONDS)

    def send(self, task: RunTask) -> None:
        self.expected = self._actor.do.remote(task)

    def receive(self) -> Answer | None:
        if self.expected is None or not ray.wait([self.expected], timeout=0, fetch_local=False)[0]:
            return None
        word, self.expected = self.expected, None
        try:
            answer: Answer | str | None = ray.get(word)
        except ray.exceptions.RayError as error:
            return Died(_in_one_line(error))
        if isinstance(answer, str):
            raise UserError(answer)
        return Free() if answer is None else answer

    def ask_to_end(self) -> None:
        # Ray has no way to ask.
        ray.kill(self._actor)

    def end(self) -> None:
        if self.expected is not None:
            # What it was at ends with an error as soon as it is dead, and lets go of its lock.
            ray.wait([self.expected], timeout=self.end_seconds, fetch_local=False)


def _in_one_line(error: Exception) -> str:
    """Return what of Ray's page says why: the last line, two sentences of it."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return ". ".join(line.split(". ")[:2])
