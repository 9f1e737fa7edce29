"""Sorting ISIC's images into class folders."""

import subprocess
import sys
from pathlib import Path

import pytest

from dropout_lab.app.main import main
from tests.data.isic import kaggle_rows

REPOSITORY = Path(__file__).parents[2]
ORGANIZE = "organize isic --root data --to sorted"


def organize(more: str = "") -> None:
    main(f"{ORGANIZE} {more}".split())


def sorted_files() -> dict[str, Path]:
    return {str(file.relative_to("sorted")): file for file in Path("sorted").rglob("*.jpg")}


@pytest.mark.usefixtures("isic_root")
@pytest.mark.parametrize("by", ["link", "copy"])
def test_class_folders(by: str) -> None:
    organize(f"--by {by}")
    files = sorted_files()
    assert set(files) == {f"{row[6]}/{row[0]}.jpg" for row in kaggle_rows()}
    for name, file in files.items():
        assert file.read_bytes() == Path("data/isic2020/train", Path(name).name).read_bytes()
        assert file.is_symlink() == (by == "link")
        assert by == "copy" or not file.readlink().is_absolute()
    assert Path("sorted/missing.csv").read_text() == "image_name,problem\n"


@pytest.mark.usefixtures("isic_root")
def test_split_parts_no_patient() -> None:
    organize("--split")
    patient_of = {row[0]: row[1] for row in kaggle_rows()}
    owners: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    for name, file in sorted_files().items():
        owners[name.split("/")[0]].add(patient_of[file.stem])
    assert len(sorted_files()) == 90
    assert sum(map(len, owners.values())) == 30
    assert all(owners.values())


@pytest.mark.usefixtures("isic_root")
@pytest.mark.parametrize("by", ["link", "copy"])
def test_resumes(by: str, capsys: pytest.CaptureFixture[str]) -> None:
    organize(f"--by {by}")
    files = sorted_files()
    kept = Path("sorted/benign/ISIC_0000001.jpg").lstat()
    Path("sorted/malignant/ISIC_0000000.jpg").unlink()
    # What an interrupted copy leaves.
    Path("sorted/malignant/ISIC_0000000.jpg.partial").write_bytes(b"half")
    # What a system leaves where somebody looks.
    Path("sorted/malignant/.DS_Store").write_bytes(b"")
    Path("sorted/benign/Thumbs.db").write_bytes(b"")
    capsys.readouterr()
    organize(f"--by {by}")
    assert "1 images" in capsys.readouterr().out
    assert set(sorted_files()) == set(files)
    assert Path("sorted/benign/ISIC_0000001.jpg").lstat().st_mtime_ns == kept.st_mtime_ns


@pytest.mark.usefixtures("isic_root")
def test_links_are_no_copies(capsys: pytest.CaptureFixture[str]) -> None:
    organize()
    with pytest.raises(SystemExit):
        organize("--by copy")
    assert "90 files in sorted are not what this sorting would put there" in capsys.readouterr().err
    assert all(file.is_symlink() for file in sorted_files().values())


@pytest.mark.usefixtures("isic_root")
def test_dry_run_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    organize("--dry_run --split")
    assert not Path("sorted").exists()
    output = capsys.readouterr().out
    assert "90 images would be linked, 0 there already" in output
    assert "train/malignant" in output


@pytest.mark.usefixtures("isic_root")
def test_missing_are_counted_and_listed(capsys: pytest.CaptureFixture[str]) -> None:
    train = Path("data/isic2020/train")
    (train / "ISIC_0000000.jpg").rename(train / "new.jpg")
    organize()
    output = capsys.readouterr().out
    assert "labels without an image 1\nimages without a label 1\n" in output
    listed = Path("sorted/missing.csv").read_text().splitlines()
    assert listed == ["image_name,problem", "ISIC_0000000,no image", "new,no label"]


@pytest.mark.usefixtures("isic_root")
@pytest.mark.parametrize("what", ["other bytes", "other link", "broken link", "sorted otherwise"])
def test_in_the_way(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = Path("sorted/malignant" if what == "sorted otherwise" else "sorted/benign", "ISIC_0000001.jpg")
    wrong.parent.mkdir(parents=True)
    if what in ("other bytes", "sorted otherwise"):
        wrong.write_bytes(b"x")
    else:
        name = "ISIC_0000002.jpg" if what == "other link" else "nope.jpg"
        wrong.symlink_to(Path("data/isic2020/train", name).absolute())
    with pytest.raises(SystemExit) as ended:
        organize()
    shown = capsys.readouterr()
    assert ended.value.code == 2
    assert shown.err.startswith(
        "dropout-lab: error: 1 files in sorted are not what this sorting would put there"
    )
    assert str(wrong) in shown.out
    assert [file for file in Path("sorted").rglob("*") if not file.is_dir()] == [wrong]


@pytest.mark.usefixtures("isic_root")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("organize", "the following arguments are required: DATASET"),
        ("organize mnist", "invalid choice: 'mnist'"),
        ("organize isic", "the following arguments are required: --to"),
        (f"{ORGANIZE} --by move", "argument --by: invalid choice: 'move'"),
        (f"{ORGANIZE} --spli", "unrecognized arguments: --spli"),
        (f"{ORGANIZE} --val_size 1.5", "--val_size must be a share in (0, 1), got 1.5"),
        (f"{ORGANIZE} --seed -1", "--seed must be 0 or more, got -1"),
        (f"{ORGANIZE} --split --val_size 0.6 --test_size 0.6", "must leave images to train on"),
        (f"{ORGANIZE} --labels nope.csv", "no isic2020/nope.csv"),
        (f"{ORGANIZE} --labels ISIC_2020_Training_Duplicates.csv", "line 1: no column image_name"),
        ("organize isic --root nowhere --to sorted", "ISIC 2020 not found"),
        (
            "organize isic --root data --to data/isic2020/train.csv",
            "cannot sort into data/isic2020/train.csv",
        ),
    ],
)
def test_one_clear_line(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    error = capsys.readouterr().err.strip()
    assert ended.value.code == 2
    assert message in error
    assert error.startswith("dropout-lab: error: ")
    assert "\n" not in error
    assert not Path("sorted").exists()


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom dropout_lab.app.organize import run\n"
        "try: run(['organize', 'isic', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(1 if {'torch', 'pytorch_lightning'} & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    assert "--dry_run" in done.stdout
