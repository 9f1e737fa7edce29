"""A study's folder: its file, and for each run what was asked, what was measured, or why it failed.

``NAME/study.yaml`` is the study as it is run, complete in itself; ``NAME/commands.txt`` has the commands that were
given. ``NAME/runs/<hash>/`` holds ``settings.yaml`` (as for ``fit --config``), ``run.json``, ``lock``, ``log.txt``,
``epochs.csv``, ``panels.npz`` if the report shows images, and at the end ``result.json``, the mark of a finished run,
or ``failed.json``. Nothing here imports torch.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

from app.errors import UserError
from app.study.grid import Run
from app.study.run_files import RunFiles, write_whole
from app.study.spec import Study
from app.whole_file import folder_for


@dataclass(frozen=True)
class StudyFolder:
    """Where a study's runs are.

    Attributes:
        path: its folder.
    """

    path: Path

    @property
    def study_file(self) -> Path:
        """The study as it is run, complete in itself."""
        return self.path / "study.yaml"

    @property
    def commands_file(self) -> Path:
        """The commands that were given, each once, in their order: a line each."""
        return self.path / "commands.txt"

    @property
    def results_file(self) -> Path:
        """A row for each run."""
        return self.path / "results.csv"

    def run(self, run: Run) -> RunFiles:
        """Return the files of a run."""
        return self.of_hash(run.hash)

    def of_hash(self, name: str) -> RunFiles:
        """Return the files of a run by its hash."""
        return RunFiles(self.path / "runs" / name)

    def write(self, study: Study) -> None:
        """Write the study.

        Raises:
            UserError: it cannot be written.
        """
        self._write(self.study_file, yaml.safe_dump(study.as_file(), sort_keys=False, allow_unicode=True))

    def commands(self) -> list[str]:
        """Return the commands that were given; none where none was noted."""
        try:
            return self.commands_file.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []

    def note(self, command: str) -> None:
        """Note a command, unless it is there.

        Raises:
            UserError: it cannot be written.
        """
        known = self.commands()
        if command not in known:
            self._write(self.commands_file, "\n".join([*known, command]))

    def _write(self, file: Path, text: str) -> None:
        try:
            with folder_for(self.path):
                write_whole(file, text)
        except OSError as error:
            raise UserError(
                f"cannot write {file}: {error.strerror}; choose another --studies folder"
            ) from error
