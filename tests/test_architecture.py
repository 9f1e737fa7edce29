"""How the house is built: which room may import which, no circles, no strings that import, files that hold one idea."""

import ast
import functools
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
HOUSE = "dropout_lab"
ROOMS = ("app", "callbacks", "datamodules", "models")
FILES = ("cli.py", f"{HOUSE}/ground.py")
LONGEST_FILE = 400

GROUND = {
    "ground", "app.errors", "app.files", "app.records", "app.streams", "app.cluster", "app.terminal", "app.console",
    "app.plotting", "callbacks", "datamodules", "models",
}  # fmt: skip
SETTINGS = {"app.config", *GROUND}
RUN = {"app.run", *SETTINGS}
STUDY = {"app.study", "app.statistics", *RUN}
ARROWS: dict[str, set[str]] = {
    "ground": set(),
    "cli": {"app"},
    # The front door and the parser behind it, which call every room and which no room calls.
    "app": {"ground", "app", "callbacks", "datamodules", "models"},
    "app.errors": GROUND,
    "app.files": GROUND,
    "app.records": GROUND,
    "app.streams": GROUND,
    "app.cluster": GROUND,
    "app.terminal": GROUND,
    "app.console": GROUND,
    "app.plotting": GROUND,
    "app.organize": GROUND,
    "app.statistics": {"app.statistics", "app.errors"},
    "app.config": SETTINGS,
    "app.run": RUN,
    "app.study": STUDY,
    "app.report": {"app.report", *STUDY},
    "app.benchmark": {"app.benchmark", *STUDY},
    "app.compare": {"app.compare", "app.benchmark", "app.report", *STUDY},
    "callbacks": {"callbacks", "models.dropout"},
    "datamodules": {"ground", "datamodules"},
    "models": {"models"},
    "models.dropout": {"models.dropout"},
}
"""By part of the house, which parts it may import from; each file belongs to the longest name that fits."""


@functools.cache
def modules() -> dict[str, ast.Module]:
    """Return the product's files by name, without the house's: ``app.run.train``; ``app.run`` is the package's own."""
    files = [REPOSITORY / name for name in FILES]
    files += [file for room in ROOMS for file in (REPOSITORY / room).rglob("*.py")]
    return {name_of(file): ast.parse(file.read_text()) for file in sorted(files)}


def name_of(file: Path) -> str:
    parts = file.relative_to(REPOSITORY).with_suffix("").as_posix().removeprefix(f"{HOUSE}/").split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield what is imported anywhere in a file, in functions too: modules, and what is taken from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def at_start(tree: ast.Module) -> Iterator[str]:
    """Yield what is imported as the file is: not what waits in a function, or is for types alone."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def own(imported: Iterator[str], known: dict[str, ast.Module]) -> set[str]:
    """Return the product's modules among what is imported."""
    found = set()
    for name in imported:
        inner = name.removeprefix(f"{HOUSE}.")
        if inner == name:
            continue
        # A name that is taken from a module, or a module that is taken from a package.
        found.add(inner if inner in known else inner.rpartition(".")[0] or inner)
    return found & known.keys()


def part(module: str) -> str:
    return max((each for each in ARROWS if f"{module}.".startswith(f"{each}.")), key=len)


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Return modules each of which needs the next, the last the first; none where there is no circle."""
    done: set[str] = set()

    def search(module: str, path: list[str]) -> list[str]:
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        for each in sorted(arrows.get(module, ())):
            if found := search(each, [*path, module]):
                return found
        done.add(module)
        return []

    return next((found for module in sorted(arrows) if (found := search(module, []))), [])


def test_no_arrow_turns() -> None:
    known = modules()
    turned = [
        f"{module} imports {each}"
        for module, tree in known.items()
        for each in sorted(own(imports(tree), known))
        if not any(f"{each}.".startswith(f"{allowed}.") for allowed in ARROWS[part(module)])
    ]
    assert not turned


def test_no_circle() -> None:
    known = modules()
    files = {module: own(imports(tree), known) - {module} for module, tree in known.items()}
    assert not circle(files)
    # The front door calls every room.
    rooms: dict[str, set[str]] = defaultdict(set)
    for module, tree in known.items():
        rooms[part(module)] |= {part(each) for each in own(imports(tree), known)} - {part(module), "app"}
    del rooms["app"]
    assert not circle(rooms)


def test_imports_are_by_full_name_and_to_be_seen() -> None:
    offenders = []
    known = modules()
    for module, tree in known.items():
        for name in imports(tree):
            if name.startswith(".") or name.split(".")[0] in ROOMS:
                offenders.append(f"{module} imports {name} without {HOUSE}")
            house, _, inner = name.partition(".")
            if house == HOUSE and inner and "." not in inner and inner not in (*known, *ROOMS, "__version__"):
                offenders.append(f"{module} takes {inner} from {HOUSE}, not from where it is")
            if name.split(".")[0] == "cli":
                offenders.append(f"{module} imports {name}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
                "import_module",
                "__import__",
            ):
                strings = [each for argument in node.args for each in ast.walk(argument)]
                ours = any(isinstance(each, ast.Constant) and HOUSE in str(each.value) for each in strings)
                if ours or not any(isinstance(each, ast.Constant) for each in strings):
                    offenders.append(f"{module}: {ast.unparse(node)}")
    assert not offenders


def test_variants_need_torch_alone_and_nothing_needs_a_lock_of_unix() -> None:
    offenders = []
    for module, tree in modules().items():
        roots = {name.split(".")[0] for name in imports(tree)}
        if part(module) == "models.dropout":
            offenders += [
                f"{module} imports {root}" for root in roots - sys.stdlib_module_names - {"torch", HOUSE}
            ]
        if "fcntl" in {name.split(".")[0] for name in at_start(tree)}:
            offenders.append(f"{module} imports fcntl, which Windows has not")
    assert not offenders


# What only POSIX has, of the modules that look the same everywhere.
POSIX_MODULES = {
    "curses",
    "fcntl",
    "grp",
    "posix",
    "pty",
    "pwd",
    "readline",
    "resource",
    "syslog",
    "termios",
    "tty",
}
POSIX_NAMES = {
    f"{module}.{name}"
    for module, names in {
        "os": "O_DIRECTORY O_NOFOLLOW O_NONBLOCK chown chroot fchown fork forkpty getegid geteuid getgid getgroups "
        "getloadavg getpgid getpgrp getpriority "
        "getsid getuid initgroups kill_pg killpg lchown major mkfifo mknod nice openpty pathconf pread "
        "posix_spawn pwrite register_at_fork sched_getaffinity sched_setaffinity sendfile setegid seteuid setgid "
        "setpgid setpriority setsid setuid statvfs sync sysconf tcgetpgrp ttyname uname wait3 wait4 WIFSIGNALED",
        "signal": "SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGUSR1 "
        "SIGUSR2 SIGWINCH SIGXCPU alarm pause pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigwait",
        "time": "tzset clock_gettime",
        "socket": "AF_UNIX",
    }.items()
    for name in names.split()
}


def test_nothing_needs_posix_when_it_is_imported() -> None:
    """What only POSIX has stands where ``sys.platform`` is asked."""
    offenders = []
    for module, tree in modules().items():
        imported = {name.split(".")[0] for name in at_start(tree)} & POSIX_MODULES
        offenders += [f"{module} imports {name}" for name in imported | set(imports(tree)) & POSIX_NAMES]
        for unit in units(tree):
            used = {
                ast.unparse(each) for each in ast.walk(unit) if isinstance(each, ast.Attribute)
            } & POSIX_NAMES
            if "sys.platform" not in ast.unparse(unit):
                offenders += [f"{module}:{unit.lineno} uses {name}" for name in used]
    assert not offenders


def units(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield each function of a file, and each statement outside."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif isinstance(node, ast.Module | ast.ClassDef):
            definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
            yield from (each for each in node.body if not isinstance(each, definitions))


def test_names_stand_for_one_thing_and_files_for_one_idea() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module)
    assert not {name: where for name, where in places.items() if len(where) > 1}
    lines = {
        str(file.relative_to(REPOSITORY)): len(file.read_text().splitlines())
        for room in ROOMS
        for file in (REPOSITORY / room).rglob("*.py")
    }
    assert not {file: count for file, count in lines.items() if count > LONGEST_FILE}


def test_the_test_sees_circles() -> None:
    chain = ["a", "b", "c", "d"]
    straight = {one: {other} for one, other in pairwise(chain)}
    assert circle(straight) == []
    assert circle({**straight, "d": {"b"}}) == ["b", "c", "d"]
