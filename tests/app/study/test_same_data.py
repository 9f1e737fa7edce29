"""What is done with one folder of images is not taken for what is asked of another."""

from pathlib import Path
from typing import Any

import pytest

from dropout_lab.app.main import main
from tests.app.study.studies import BASE, dropout, write_study
from tests.data.folders import write_classes

DATA: dict[str, Any] = {
    "class_path": "ImageFolderDataModule",
    "init_args": {"image_size": 8, "batch_size": 4},
}
COMMAND = "study tiny.yaml --jobs 1 --set data.root="


def test_other_images_are_other_runs(capsys: pytest.CaptureFixture[str]) -> None:
    for place, first in (("here", 0), ("there", 100)):
        write_classes(Path(place), {"a": 10, "b": 10}, first)
    settings = {**BASE, "data": DATA}
    write_study(base={"settings": settings}, seeds=[0], grid={"method": {"none": dropout("NoDropout")}})
    main(f"{COMMAND}here".split())
    assert "1 of 1 runs are done" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(f"{COMMAND}there".split())
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "studies/tiny: its runs were made with data.root " in error
    assert "choose another --studies folder" in error
    # The same place by another name.
    main(f"{COMMAND}{Path.cwd() / 'here'}".split())
    assert "1 runs, 1 done before" in capsys.readouterr().out


def test_data_sets_of_known_files_may_be_moved(capsys: pytest.CaptureFixture[str]) -> None:
    write_study(seeds=[0], grid={"method": {"none": dropout("NoDropout")}})
    main("study tiny.yaml --jobs 1".split())
    asked = next(Path("studies/tiny/runs").glob("*/run.json"))
    asked.write_text(asked.read_text().replace('"batch_size": 50', '"batch_size": 50, "root": "elsewhere"'))
    assert "elsewhere" in asked.read_text()
    main("study tiny.yaml --jobs 1".split())
    assert "1 runs, 1 done before" in capsys.readouterr().out
