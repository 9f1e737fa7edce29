"""The metrics of a split: next to free while batches pass, computed once an epoch, correct over processes."""

import math
from abc import ABC
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError
from torchmetrics.functional.classification import binary_auroc, binary_average_precision
from torchmetrics.utilities import dim_zero_cat

TWO_CLASS_NAMES = ("majority", "balanced_accuracy", "sensitivity", "specificity", "auroc", "ap", "f1")


@final
class TwoClassMetrics(Metric):
    """Metrics of two classes; label 1 is the positive one, and is predicted where its logit is the larger.

    With P and N the positive and negative samples, TP, FP, TN the counts of true and false predictions:

    - ``majority``: max(P, N) / (P + N), the accuracy of always predicting this split's commoner class;
    - ``sensitivity``: TP / P; ``specificity``: TN / N; ``balanced_accuracy``: the mean of both;
    - ``auroc``: area under the ROC curve, ties at one half; 0.5 is chance;
    - ``ap``: average precision, Σ (R_k − R_{k−1})·P_k over thresholds, not interpolated; P / (P + N) is chance;
    - ``f1``: 2·TP / (P + TP + FP).

    What is undefined is NaN: all that needs a class that the split has no sample of, and the curves where a logit is
    not finite.
    """

    full_state_update = False
    scores: list[Tensor]
    targets: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("targets", [], dist_reduce_fx="cat")

    def update(self, logits: Tensor, target: Tensor) -> None:
        self.scores.append(logits[:, 1] - logits[:, 0])
        self.targets.append(target)

    def compute(self) -> dict[str, Tensor]:
        # Lists, or tensors once they are joined over processes.
        scores, target = dim_zero_cat(self.scores), dim_zero_cat(self.targets)
        predicted, actual = scores > 0, target == 1
        positives, negatives = actual.sum(), (~actual).sum()
        hits = (predicted & actual).sum()
        sensitivity = hits / positives
        specificity = (~predicted & ~actual).sum() / negatives
        auroc = ap = scores.new_tensor(math.nan)
        if positives and negatives and scores.isfinite().all():
            # The curves depend on the order alone; torchmetrics' sigmoid would make scores above 17 equal.
            distinct, order = torch.unique(scores, return_inverse=True)
            ranks = order.float() / len(distinct)
            auroc = binary_auroc(ranks, target, validate_args=False)
            ap = binary_average_precision(ranks, target, validate_args=False)
        values = (
            torch.maximum(positives, negatives) / len(target),
            (sensitivity + specificity) / 2,
            sensitivity,
            specificity,
            auroc,
            ap,
            2 * hits / (positives + predicted.sum()),
        )
        return dict(zip(TWO_CLASS_NAMES, values, strict=True))


# Logits held back before they are counted, in numbers: 16 MiB of float32.
BUFFER_NUMBERS = 4 * 2**20
# What is held back of a batch, as a saved run names it.
HELD = ("losses", "logits", "targets")


class Mean(Metric, ABC):
    """A sum over a count, both summed over processes too."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, count: float) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(count), dist_reduce_fx="sum")

    def compute(self) -> Tensor:
        return self.total / self.count


@final
class MeanLoss(Mean):
    """Weighted mean over samples of a loss that is given as weighted means over batches."""

    def __init__(self) -> None:
        super().__init__(count=0.0)

    def update(self, means: Tensor, weights: Tensor) -> None:
        """Add batches: their mean losses and the sums of their samples' weights, both ``(batches,)``."""
        self.total += (means * weights).sum()
        self.count += weights.sum()


@final
class NegativeLogLikelihood(Mean):
    """−log softmax(logits)[label], natural logarithm, mean over samples."""

    def __init__(self) -> None:
        super().__init__(count=0)

    def update(self, logits: Tensor, target: Tensor) -> None:
        self.total += F.cross_entropy(logits, target, reduction="sum")
        self.count += target.numel()


@final
class SplitMetrics(nn.Module):
    """Loss, accuracy, top-5 accuracy, negative log-likelihood and calibration error of one split.

    A batch costs a list append: logits are held back and counted together, since updating torchmetrics at
    every step makes a small network's step more than twice as long.

    Of two classes also :class:`TwoClassMetrics`, with ``majority``, which tells what an accuracy is worth. The
    calibration error is the expected one (L1, 15 bins): Guo et al. 2017, arXiv:1706.04599. ``top5`` is there from six
    classes on. ``class_weights``, ``(classes,)``, are those of the loss, and may be filled in later.
    """

    class_weights: Tensor | None

    def __init__(self, num_classes: int, class_weights: Tensor | None = None) -> None:
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
        self._held: list[tuple[Tensor, Tensor, Tensor]] = []
        self._numbers = 0

    def names(self) -> list[str]:
        return ["loss", *self.metrics, *(TWO_CLASS_NAMES if self.two_classes else ())]

    # A list that grows is a constant of a compiled graph, and every batch another one.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def update(self, loss: Tensor, logits: Tensor, target: Tensor) -> None:
        """Take in a batch: its mean loss, logits ``(B, classes)``, labels ``(B,)``."""
        self._held.append((loss.detach(), logits.detach(), target))
        self._numbers += logits.numel()
        if self._numbers >= BUFFER_NUMBERS:
            self._count()

    @property
    def empty(self) -> bool:
        """Whether there was no batch since the last ``reset``."""
        return not self._held and not self.loss.update_called

    def compute(self) -> dict[str, Tensor]:
        """Return each metric over all batches since the last ``reset``, and over all processes."""
        self._count()
        of_two = self.two_classes.compute() if self.two_classes else {}
        return {"loss": self.loss.compute(), **self.metrics.compute(), **of_two}

    def reset(self) -> None:
        self._held, self._numbers = [], 0
        for metric in self._all().values():
            metric.reset()

    def progress(self) -> dict[str, Any]:
        """Return what was taken in since the last ``reset``, on the CPU and as it is held.

        Counted at another moment, sums would be rounded otherwise.
        """
        held: dict[str, Any] = {name: [batch[i].cpu() for batch in self._held] for i, name in enumerate(HELD)}
        counted = {name: metric for name, metric in self._all().items() if metric.update_called}
        return {**held, "counted": {name: _moved(each.metric_state, "cpu") for name, each in counted.items()}}

    def resume(self, progress: dict[str, Any], device: torch.device) -> None:
        """Take up what :meth:`progress` has returned."""
        self.reset()
        for batch in zip(*(progress[name] for name in HELD), strict=True):
            self.update(*(part.to(device) for part in batch))
        metrics = self._all()
        for name, states in progress["counted"].items():
            for state, value in _moved(states, device).items():
                setattr(metrics[name], state, value)
            # By this it knows that it has something to compute.
            metrics[name]._update_count = 1

    def _all(self) -> dict[str, Metric]:
        return {name: module for name, module in self.named_modules() if isinstance(module, Metric)}

    def _count(self) -> None:
        if not self._held:
            return
        losses, logits, targets = zip(*self._held, strict=True)
        self._held, self._numbers = [], 0
        if self.class_weights is None:
            weights = torch.tensor([float(len(target)) for target in targets], device=targets[0].device)
        else:
            weights = torch.stack([self.class_weights[target].sum() for target in targets])
        self.loss.update(torch.stack(losses).float(), weights)
        samples = torch.cat(logits).float(), torch.cat(targets)
        self.metrics.update(*samples)
        if self.two_classes:
            self.two_classes.update(*samples)


def _moved(states: dict[str, Any], device: torch.device | str) -> dict[str, Any]:
    """Return a metric's states, tensors and lists of them, on a device."""
    return {
        name: [each.to(device) for each in state] if isinstance(state, list) else state.to(device)
        for name, state in states.items()
    }
