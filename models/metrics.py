"""The metrics of a split: next to free while batches pass, computed once an epoch, correct over processes."""

from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError

from models.two_classes import TWO_CLASS_NAMES, TwoClassMetrics

# Logits held back before they are counted, in numbers: 16 MiB of float32.
BUFFER_NUMBERS = 4 * 2**20


@final
class MeanLoss(Metric):
    """Weighted mean over samples of a loss that is given as weighted means over batches."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        """Start at zero; both states are summed over processes."""
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, means: Tensor, weights: Tensor) -> None:
        """Add batches: their mean losses and the sums of their samples' weights, both ``(batches,)``."""
        self.total += (means * weights).sum()
        self.count += weights.sum()

    def compute(self) -> Tensor:
        """Return the mean over all samples."""
        return self.total / self.count


@final
class NegativeLogLikelihood(Metric):
    """−log softmax(logits)[label], natural logarithm, mean over samples."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        """Start at zero; both states are summed over processes."""
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add samples: logits ``(N, classes)``, labels ``(N,)``."""
        self.total += F.cross_entropy(logits, target, reduction="sum")
        self.count += target.numel()

    def compute(self) -> Tensor:
        """Return the mean."""
        return self.total / self.count


@final
class SplitMetrics(nn.Module):
    """Loss, accuracy, top-5 accuracy, negative log-likelihood and calibration error of one split.

    A batch costs a list append: logits are held back and counted together, since updating torchmetrics at
    every step makes a small network's step more than twice as long.

    Of two classes also :class:`models.two_classes.TwoClassMetrics`, with ``majority``, which tells what an accuracy is
    worth. The calibration error is the expected one (L1, 15 bins): Guo et al. 2017, arXiv:1706.04599. ``top5`` is
    there from six classes on.

    Args:
        num_classes: classes of the task.
        class_weights: weight of each class in the loss, ``(classes,)``; None weighs all alike. May be filled in later.
    """

    class_weights: Tensor | None

    def __init__(self, num_classes: int, class_weights: Tensor | None = None) -> None:
        """Start empty."""
        super().__init__()
        self.register_buffer("class_weights", class_weights, persistent=False)
        metrics: dict[str, Metric] = {
            "accuracy": MulticlassAccuracy(num_classes, average="micro", validate_args=False),
            "nll": NegativeLogLikelihood(),
            "ece": MulticlassCalibrationError(num_classes, n_bins=15, norm="l1", validate_args=False),
        }
        if num_classes > 5:
            metrics["top5"] = MulticlassAccuracy(num_classes, top_k=5, average="micro", validate_args=False)
        self.metrics = MetricCollection(dict(metrics), compute_groups=False)
        self.loss = MeanLoss()
        self.two_classes = TwoClassMetrics() if num_classes == 2 else None
        self._losses: list[Tensor] = []
        self._logits: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._buffered = 0

    def names(self) -> list[str]:
        """Return the names of what ``compute`` returns."""
        return ["loss", *self.metrics, *(TWO_CLASS_NAMES if self.two_classes else ())]

    # A list that grows is a constant of a compiled graph, and every batch another one.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def update(self, loss: Tensor, logits: Tensor, target: Tensor) -> None:
        """Take in a batch: its mean loss, logits ``(B, classes)``, labels ``(B,)``."""
        self._losses.append(loss.detach())
        self._logits.append(logits.detach())
        self._targets.append(target)
        self._buffered += logits.numel()
        if self._buffered >= BUFFER_NUMBERS:
            self._flush()

    @property
    def empty(self) -> bool:
        """Whether there was no batch since the last ``reset``."""
        return self._buffered == 0 and not self.loss.update_called

    def compute(self) -> dict[str, Tensor]:
        """Return each metric over all batches since the last ``reset``, and over all processes."""
        self._flush()
        results: dict[str, Tensor] = {"loss": self.loss.compute(), **self.metrics.compute()}
        if self.two_classes:
            results |= self.two_classes.compute()
        return results

    def reset(self) -> None:
        """Forget all batches."""
        self._drop_buffer()
        self.loss.reset()
        self.metrics.reset()
        if self.two_classes:
            self.two_classes.reset()

    def progress(self) -> dict[str, Any]:
        """Return what was taken in since the last ``reset``, on the CPU and as it is held.

        Counted at another moment, sums would be rounded otherwise.
        """
        return {
            "losses": [loss.cpu() for loss in self._losses],
            "logits": [logits.cpu() for logits in self._logits],
            "targets": [target.cpu() for target in self._targets],
            "counted": {
                name: _state_of(metric) for name, metric in self._counted().items() if metric.update_called
            },
        }

    def go_on(self, progress: dict[str, Any], device: torch.device) -> None:
        """Go on from what :meth:`progress` has returned."""
        self.reset()
        for loss, logits, target in zip(
            progress["losses"], progress["logits"], progress["targets"], strict=True
        ):
            self.update(loss.to(device), logits.to(device), target.to(device))
        counted = self._counted()
        for name, state in progress["counted"].items():
            _give_state(counted[name], state, device)

    def _counted(self) -> dict[str, Metric]:
        return {name: module for name, module in self.named_modules() if isinstance(module, Metric)}

    def _flush(self) -> None:
        if not self._logits:
            return
        if self.class_weights is None:
            sizes = [float(len(target)) for target in self._targets]
            weights = torch.tensor(sizes, device=self._targets[0].device)
        else:
            weights = torch.stack([self.class_weights[target].sum() for target in self._targets])
        self.loss.update(torch.stack(self._losses).float(), weights)
        logits, targets = torch.cat(self._logits).float(), torch.cat(self._targets)
        self.metrics.update(logits, targets)
        if self.two_classes:
            self.two_classes.update(logits, targets)
        self._drop_buffer()

    def _drop_buffer(self) -> None:
        self._losses, self._logits, self._targets = [], [], []
        self._buffered = 0


def _state_of(metric: Metric) -> dict[str, Any]:
    return {
        name: [each.cpu() for each in state] if isinstance(state, list) else state.cpu()
        for name, state in metric.metric_state.items()
    }


def _give_state(metric: Metric, state: dict[str, Any], device: torch.device) -> None:
    for name, value in state.items():
        setattr(
            metric, name, [each.to(device) for each in value] if isinstance(value, list) else value.to(device)
        )
    # By this it knows that it has something to compute.
    metric._update_count = 1
