"""Nothing in the project opens a file in a way that could run what is in it, but for the places listed here."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
ROOMS = ("app", "callbacks", "cli.py", "datamodules", "docs", "dropout_lab/ground.py", "models")

JUSTIFIED = {
    # Bytes whose checksum is the official one: they are hashed and opened from one read.
    ("datamodules/cifar10.py", "pickle.loads"),
    # SafeLoader's subclass.
    ("app/config/yaml_files.py", "yaml.load"),
    # A list of words, without a shell: this program's own interpreter on this program's own module.
    ("app/study/worker.py", "subprocess.Popen"),
    # Likewise on the cli.py of a checkout that is named.
    ("docs/pipeline_fits.py", "subprocess.Popen"),
}
"""By file, what stands there though it is dangerous elsewhere, and why it is not there."""

REFUSED = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads",
    "pickle.Unpickler", "marshal.loads", "shelve.open", "joblib.load", "pandas.read_pickle", "yaml.load",
    "yaml.full_load", "yaml.unsafe_load", "yaml.load_all", "torch.hub.load", "torch.jit.load", "subprocess.run",
    "subprocess.Popen", "subprocess.call", "subprocess.check_output", "np.fromfile", "tarfile.open",
    "shutil.unpack_archive", "ray.cloudpickle.loads",
}  # fmt: skip
"""Calls that run, or may run, what they are given."""

NEEDED = {
    "torch.load": ("weights_only", True),
    "load_from_checkpoint": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "get_state_dict": ("weights_only", True),
}
"""Calls that are safe with an argument alone."""

FITS = ("fit", "validate", "test", "predict")
"""Lightning's own loads, which may also take up a checkpoint that it finds by itself."""


def programs() -> Iterator[tuple[str, str]]:
    """Return each program with its name: files of the rooms, code in pages."""
    for room in ROOMS:
        path = REPOSITORY / room
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            yield str(file.relative_to(REPOSITORY)), file.read_text()
    for page in [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]:
        for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)):
            yield f"{page.relative_to(REPOSITORY)}, example {number + 1}", code


def dangers(program: str) -> Iterator[str]:
    """Return the calls of a program that may run what they are given."""
    for node in ast.walk(ast.parse(program)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        last = name.rpartition(".")[2]
        given = {each.arg: each.value for each in node.keywords}
        if name in REFUSED or name.removeprefix("builtins.") in REFUSED:
            yield name
        for call, (argument, value) in NEEDED.items():
            wanted = name == call if "." in call else last == call and not name.startswith("super()")
            if wanted and not is_constant(given.get(argument), value):
                yield name
        if "trainer" in name and last in FITS and not is_constant(given.get("weights_only"), True):
            yield name
        if "shell" in given and not is_constant(given["shell"], False):
            yield f"{name}, shell"


def is_constant(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_nothing_runs_what_it_reads() -> None:
    found = {(file, danger) for file, program in programs() for danger in dangers(program)}
    # A script that measures or draws starts its fits afresh; only what is loaded by name is looked at there.
    scripts = {each for each in found if each[0].startswith("docs") and each[1].endswith((".fit", ".test"))}
    assert found - scripts == JUSTIFIED


@pytest.mark.parametrize(
    "program",
    [
        "torch.load(file)",
        "torch.load(file, weights_only=False)",
        "torch.load(file, weights_only=flag)",
        "ImageClassifier.load_from_checkpoint(file)",
        "pickle.loads(x)",
        "yaml.load(x, yaml.Loader)",
        "np.load(x)",
        "np.load(x, allow_pickle=True)",
        "eval('1')",
        "subprocess.run('ls', shell=True)",
        "session.trainer.fit(model, ckpt_path=path)",
    ],
)
def test_the_test_sees(program: str) -> None:
    assert list(dangers(program))
