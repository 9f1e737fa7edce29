"""What accuracy hides where one of two classes is rare."""

import math
from typing import final

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import binary_auroc, binary_average_precision
from torchmetrics.utilities import dim_zero_cat

TWO_CLASS_NAMES = (
    "majority",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "auroc",
    "ap",
    "f1",
)


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
        """Start empty; both states are joined over processes."""
        super().__init__()
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("targets", [], dist_reduce_fx="cat")

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add samples: logits ``(N, 2)``, labels ``(N,)``."""
        self.scores.append(logits[:, 1] - logits[:, 0])
        self.targets.append(target)

    def compute(self) -> dict[str, Tensor]:
        """Return each metric, float32 scalars."""
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
