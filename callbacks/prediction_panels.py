"""What the network gets right, and what it takes for something else."""

from typing import Any, final

from pytorch_lightning import Callback, LightningModule, Trainer

from dropout_lab.callbacks.examples import RightAndWrong, image_data
from dropout_lab.callbacks.figures import plain
from dropout_lab.callbacks.ranks import due
from dropout_lab.callbacks.tensorboard import summary_writers
from dropout_lab.models.dropout.base import check_count


@final
class PredictionPanels(Callback):
    """Draws validation images that are classified correctly and wrongly, as stored and as normalized.

    Above each image stands its true class, below it the prediction and its probability. They are the first of
    each kind in the split, so that one can follow an image over the epochs; of several processes, the first one's.

    Source: H. Lerner, *Drop-in: An Attempted Dropout Variation*, Figs 8-11.

    Args:
        images: how many of each kind to show at most.
        every_n_epochs: epochs from one figure to the next; the last epoch is always drawn.
    """

    def __init__(self, images: int = 10, every_n_epochs: int = 1) -> None:
        check_count("images", images, least=1)
        check_count("every_n_epochs", every_n_epochs, least=1)
        self.images = images
        self.every_n_epochs = every_n_epochs
        self.examples = RightAndWrong(images)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.examples = RightAndWrong(self.images)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *index: int
    ) -> None:
        wanted = due(trainer, self.every_n_epochs) and summary_writers(trainer)
        if wanted and not self.examples.full:
            self.examples.add(outputs["logits"], *batch)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not due(trainer, self.every_n_epochs):
            return
        for writer in summary_writers(trainer):
            data = image_data(trainer, type(self).__name__)
            for kind, examples in self.examples.kinds.items():
                if examples.count:
                    figure = examples.taken(data).figure(f"{kind} after epoch {trainer.current_epoch + 1}")
                    with plain():
                        writer.add_figure(f"predictions/{kind}", figure, trainer.global_step, close=False)
