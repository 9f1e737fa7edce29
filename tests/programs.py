"""The program in processes of its own that need no new interpreter: PyTorch and Lightning take ten seconds to import.

A fork server, one for each test process, has imported them. A child of it becomes ``python cli.py WORDS``: its folder,
environment, streams, limits, signals and exit code are its own. What belongs to the start of an interpreter cannot be
seen in it: what is imported and in which order, what a file in the folder hides, what an environment variable changes
when a library is imported. Tests of these start Python themselves.
"""

import atexit
import functools
import multiprocessing
import os
import resource
import runpy
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir
from multiprocessing import connection, forkserver, reduction
from multiprocessing.context import ForkServerContext
from pathlib import Path
from subprocess import CompletedProcess
from threading import Thread
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

REPOSITORY = Path(__file__).resolve().parents[1]
CLI = REPOSITORY / "cli.py"

TESTS = REPOSITORY / ".cache" / "importable"
"""Where processes find what tests name in configs: the program takes the checkout itself from their paths."""

# After Ctrl-C and after SIGTERM.
INTERRUPTED = (130, 143)

HANGS_S = 900
"""A cap on what hangs; no test waits for it."""

# The command line's modules, and what they import when they are used.
IMPORTED = [
    "tests.programs",
    "dropout_lab.app.cli",
    "dropout_lab.app.study.command",
    "dropout_lab.app.study.local",
    "sklearn.datasets",
    "tensorboard.backend.event_processing.event_accumulator",
    "torch.utils.tensorboard",
    "attr",
    "tests.frozen",
]

# As `python cli.py` has it: the script's folder in place of the one where Python is started.
PATH = [
    str(REPOSITORY),
    *(each for each in sys.path if each not in ("", str(REPOSITORY), str(TESTS))),
    str(TESTS),
]


@functools.cache
def server() -> ForkServerContext:
    """Start the fork server, which is this process's own, and return the context of its children."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    with chdir(REPOSITORY):
        forkserver.ensure_running()
    return context


class Program:
    """A running program, with what :class:`subprocess.Popen` has of it; leaving its context kills it."""

    def __init__(
        self,
        words: Sequence[str],
        script: Path,
        env: Mapping[str, str],
        most_bytes: int | None,
        own_session: bool,
    ) -> None:
        self.args = [str(script), *words]
        self._readers: list[Thread] = []
        self._written: tuple[list[bytes], list[bytes]] = ([], [])
        streams = [os.open(os.devnull, os.O_RDONLY)]
        for written in self._written:
            ours, its = os.pipe()
            streams.append(its)
            self._readers.append(Thread(target=_read, args=(ours, written), daemon=True))
        self.process = server().Process(
            target=_become,
            args=(
                script,
                list(words),
                Path.cwd(),
                dict(env),
                most_bytes,
                own_session,
                *map(_Inherited, streams),
            ),
        )
        self.process.start()
        for stream in streams:
            os.close(stream)
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self.process.pid is not None
        return self.process.pid

    def poll(self) -> int | None:
        """Return the exit code, that of a signal negative; None while the program runs."""
        return self.process.exitcode

    def wait(self) -> int:
        """Wait for the end; return the exit code."""
        self.process.join(HANGS_S)
        code = self.poll()
        assert code is not None, f"{self.args} has not ended in {HANGS_S} s"
        return code

    def communicate(self) -> tuple[str, str]:
        """Wait until nobody writes any more; return what was written to stdout and to stderr."""
        self.wait()
        for reader in self._readers:
            reader.join(HANGS_S)
            assert not reader.is_alive(), f"{self.args} has left a process that hangs"
        out, error = (b"".join(parts).decode() for parts in self._written)
        return out, error

    def wait_for_output(self, text: str) -> None:
        """Wait until a text stands in what was written to stdout."""
        end = monotonic() + HANGS_S
        while True:
            writes = self._readers[0].is_alive()
            if text in b"".join(self._written[0]).decode():
                return
            assert writes, f"{self.args} has ended without {text!r}"
            assert monotonic() < end, f"{self.args} has not written {text!r} in {HANGS_S} s"
            sleep(0.01)

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, if it runs."""
        if self.poll() is None:
            self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self.wait()
        self.process.close()


def start(
    *words: str,
    script: Path = CLI,
    env: Mapping[str, str] | None = None,
    most_bytes: int | None = None,
    own_session: bool = False,
) -> Program:
    """Start the program in the current folder.

    Args:
        words: its command line.
        script: what to run in its place.
        env: its environment; None for that of this process.
        most_bytes: what a file of its may hold, as on a disk that is full.
        own_session: whether it and what it starts are a group of processes of their own, as in a terminal.
    """
    return Program(words, script, os.environ if env is None else env, most_bytes, own_session)


def run(*words: str, **options: Any) -> "CompletedProcess[str]":
    """Run the program to its end, with the arguments of :func:`start`."""
    with start(*words, **options) as program:
        out, error = program.communicate()
        return CompletedProcess(program.args, program.wait(), out, error)


def run_ranks(*words: str, count: int = 2, script: Path = CLI) -> "list[CompletedProcess[str]]":
    """Run the program once a rank, as torchrun and clusters do, and end all when one has failed.

    Lightning's own launcher would start new interpreters. Ranks that were interrupted end by themselves.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "NODE_RANK": "0",
    }
    each = {**os.environ, **shared}
    ranks = [start(*words, script=script, env={**each, "LOCAL_RANK": str(rank)}) for rank in range(count)]
    running = ranks
    while running:
        connection.wait([rank.process.sentinel for rank in running], HANGS_S)
        codes = [rank.poll() for rank in running]
        if {*codes} - {None, 0, *INTERRUPTED} or {*codes} == {None}:
            for rank in running:
                rank.kill()
        running = [rank for rank in running if rank.poll() is None]
    results = []
    for rank in ranks:
        with rank:
            out, error = rank.communicate()
            results.append(CompletedProcess(rank.args, rank.wait(), out, error))
    return results


class _Inherited:
    """A file descriptor that a child gets."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __reduce__(self) -> tuple[Any, ...]:
        return _detached, (reduction.DupFd(self.descriptor),)


def _detached(descriptor: Any) -> int:
    return int(descriptor.detach())


def _read(descriptor: int, into: list[bytes]) -> None:
    with open(descriptor, "rb") as stream:
        for line in stream:
            into.append(line)


def _become(
    script: Path,
    words: list[str],
    folder: Path,
    env: dict[str, str],
    most_bytes: int | None,
    own_session: bool,
    *streams: int,
) -> None:
    """Become ``python SCRIPT WORDS``, in a child of the server."""
    assert "pytorch_lightning" in sys.modules, "the server has not imported the program"
    # Else what the program starts would be started by the server too.
    multiprocessing.set_start_method(None, force=True)
    # A server that a study's engine has started knows no Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if own_session:
        os.setsid()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    for descriptor, stream in enumerate(streams):
        os.dup2(stream, descriptor)
        os.close(stream)
    encoding = sys.stdout.encoding
    sys.stdin = os.fdopen(0, encoding=encoding, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding=encoding, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding=encoding, errors="backslashreplace", closefd=False)
    if most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
    # As Lightning finds it when it is imported.
    sys.modules["lightning_utilities.core.rank_zero"].rank_zero_only.rank = int(env.get("LOCAL_RANK", 0))
    sys.path[:] = PATH
    sys.argv[1:] = words
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        atexit._run_exitfuncs()
