"""One run of a study: built, trained and tested as ``fit`` and ``test`` do."""

from time import perf_counter

import torch

from dropout_lab.app.config.checks import check_study_trainer
from dropout_lab.app.config.settings import Settings, merge
from dropout_lab.app.console import ask_once_for_gpus, print_line, silence_lightning
from dropout_lab.app.errors import UserError
from dropout_lab.app.run.autosave import Autosave
from dropout_lab.app.run.build import Parts, build
from dropout_lab.app.run.checkpoint import check_can_continue
from dropout_lab.app.run.evaluate import evaluate_trained
from dropout_lab.app.run.folder import RunFolder, without_split
from dropout_lab.app.run.resume import Resumption, newest_checkpoint
from dropout_lab.app.run.signals import OF_SCHEDULERS, Interrupted, Interrupts
from dropout_lab.app.run.train import train
from dropout_lab.app.study.outcomes import OutcomeFile
from dropout_lab.app.study.panels import PanelFile
from dropout_lab.app.study.run_files import RunTask

# Right and wrong test images, of each so many.
PANEL_IMAGES = 4
# What a run is by itself; its settings say otherwise if they must. All GPUs would otherwise train one run between them.
TRAINER = {"devices": 1, "enable_model_summary": False, "enable_progress_bar": False, "logger": False}


def prepare(threads: int) -> None:
    """Make this process one that does runs, with so many threads of torch."""
    torch.set_num_threads(threads)
    silence_lightning()
    ask_once_for_gpus()


def build_run(settings: Settings) -> Parts:
    """Build a run of a study; data that an earlier run has read are taken. UserError if a setting is wrong."""
    check_study_trainer(settings)
    # Without its best weights a run has nothing to test; none are kept in the end.
    trainer = {**TRAINER, **(settings.get("trainer") or {})}
    if not _keeps_checkpoints(trainer):
        del trainer["enable_checkpointing"]
    return build({**settings, "trainer": trainer}, keep_data=True)


def run_one(task: RunTask) -> None:
    """Train, take the weights that were best in validation, test them; write it all into the run's folder.

    Nothing of it depends on what this process has done before: the run is seeded as ``fit --seed_everything`` does.
    One that was interrupted goes on from its last checkpoint. SIGTERM, or SIGUSR1, is answered once there is one more.

    Raises:
        UserError: the settings are wrong, or nothing was trained.
    """
    start, folder, settings = perf_counter(), task.files.folder, task.run.settings
    if task.tensorboard:
        settings = merge(settings, {"trainer": {"logger": True}})
    parts = build_run(settings)
    parts.callbacks.append(OutcomeFile(task.files.outcomes))
    if task.panels:
        parts.callbacks.append(PanelFile(task.files.panels, PANEL_IMAGES))
    found = _resumption(parts, folder)
    if parts.trainer.is_global_zero:
        found.rewind()
        if found.checkpoint is None:
            task.files.remove_checkpoints()
        folder.write_config(parts.settings)
    with Interrupts(*OF_SCHEDULERS) as interrupts:
        autosave = Autosave(parts, found, parts.settings, interrupts, sparing=True)
        try:
            fitted = train(autosave, found.checkpoint and found.checkpoint.file)
        except Interrupted as stop:
            stop.end_process()
    tested = evaluate_trained(parts, folder, stopped=fitted["stopped"] is not None)
    if parts.trainer.is_global_zero:
        for left in (folder.last, folder.previous):
            left.unlink(missing_ok=True)
        if not _keeps_checkpoints(settings.get("trainer") or {}):
            task.files.remove_checkpoints()
        before = 0.0 if found.state is None else found.state.curves["seconds"]
        fitted["time"]["seconds"] = before + perf_counter() - start
        folder.add_result("fit", fitted)
        folder.add_result("test", {"metrics": without_split(tested, "test")})


def _keeps_checkpoints(trainer: Settings) -> bool:
    return trainer.get("enable_checkpointing") is not False


def _resumption(parts: Parts, folder: RunFolder) -> Resumption:
    """Return from where the run goes on; from its beginning, if it is none that these settings would have begun."""
    try:
        found = newest_checkpoint(folder)
        if found.checkpoint is not None:
            check_can_continue(found.checkpoint, parts.trainer, parts.model)
    except UserError as error:
        print_line(f"{error}; the run begins anew")
        return Resumption(folder)
    if changed := found.changes(parts.settings, parts.data.fingerprint):
        print_line(f"{folder.last} is not of these settings: {'; '.join(changed)}; the run begins anew")
        return Resumption(folder)
    return found
