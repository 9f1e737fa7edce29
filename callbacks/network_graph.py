"""Shows the network's graph in TensorBoard."""

from typing import final

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from callbacks.tensorboard import summary_writers


@final
class NetworkGraph(Callback):
    """Draws the graph of the module as it is evaluated, from its ``example_input_array``."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Trace and draw."""
        example = pl_module.example_input_array
        if not isinstance(example, torch.Tensor):
            return
        for writer in summary_writers(trainer):
            # In evaluation: dropout draws nothing, so the trace is checked and the random stream untouched.
            training = pl_module.training
            pl_module.eval()
            writer.add_graph(pl_module, example.to(pl_module.device))
            pl_module.train(training)
