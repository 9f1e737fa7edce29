"""Looking at what modules put out while a fit runs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


class WatchesForwards(Callback, ABC):
    """A callback that sees modules' forwards by hooks, which go when the fit ends, however it does."""

    def __init__(self) -> None:
        self._hooks: dict[str, RemovableHandle] = {}

    @abstractmethod
    def _look(self, name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        """Look at a forward of the module of this name."""

    def _watch(self, modules: Mapping[str, nn.Module]) -> None:
        self._remove()
        self._hooks = {
            name: module.register_forward_hook(partial(self._look, name)) for name, module in modules.items()
        }

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        # Lightning does not come to teardown then.
        self._remove()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._remove()

    def _remove(self) -> None:
        for hook in self._hooks.values():
            hook.remove()
        self._hooks = {}
