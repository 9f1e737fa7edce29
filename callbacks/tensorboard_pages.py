"""All that fills TensorBoard's pages, as one callback."""

from typing import Any, final

from pytorch_lightning import Callback, LightningModule, Trainer

from callbacks.first_batch import FirstBatch
from callbacks.hyperparameters import Hyperparameters
from callbacks.network_graph import NetworkGraph
from callbacks.tensorboard import ScalarLayout


@final
class TensorBoardPages(Callback):
    """Calls the four that fill HParams, custom scalars, graph and first images, when they have something to do.

    Each callback in the trainer's list is called at seven hooks of every step, though its work is done after the first:
    the three less save 40 µs a step.

    Args:
        hyperparameters: fills the HParams tab.
        layout: groups the curves.
        graph: draws the network.
        first_batch: draws the first images.
        written: all but the end is there already, as the run goes on where it was interrupted.
    """

    def __init__(
        self,
        hyperparameters: Hyperparameters,
        layout: ScalarLayout,
        graph: NetworkGraph,
        first_batch: FirstBatch,
        written: bool = False,
    ) -> None:
        """Keep the four."""
        self.hyperparameters = hyperparameters
        self.layout = layout
        self.graph = graph
        self.first_batch = first_batch
        self.written = written

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what is known before training."""
        if self.written:
            return
        self.hyperparameters.on_fit_start(trainer, pl_module)
        self.layout.on_fit_start(trainer, pl_module)
        self.graph.on_fit_start(trainer, pl_module)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Draw the first batch."""
        if not self.written:
            self.first_batch.on_train_batch_start(trainer, pl_module, batch, batch_idx)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what was reached."""
        self.hyperparameters.on_fit_end(trainer, pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write what was reached until then."""
        self.hyperparameters.on_exception(trainer, pl_module, exception)
