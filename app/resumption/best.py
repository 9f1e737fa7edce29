"""The best weights of a run."""

from typing import final

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from app.runs import RunFolder
from callbacks import BestStep


@final
class BestCheckpoint(Checkpoint):
    """Writes ``best.ckpt`` at each validation that is better than all before.

    Args:
        folder: the run's.
        best: says what is best; is called before, as Lightning calls checkpoints last.
    """

    def __init__(self, folder: RunFolder, best: BestStep) -> None:
        """Keep the arguments."""
        self.folder = folder
        self.best = best

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, if this validation is the best so far."""
        if not trainer.sanity_checking and self.best.step == trainer.global_step:
            trainer.save_checkpoint(self.folder.checkpoints / "best.ckpt", weights_only=False)
