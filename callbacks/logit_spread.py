"""How much logits vary over samples, and how far their loss is from guessing: sums that batches and ranks add to."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pytorch_lightning.strategies import Strategy
from torch import Tensor


@dataclass(frozen=True)
class LogitSpread:
    """Sums over samples, kept on the logits' device.

    All are float64: in float32 the square of a logit of 1e20 is infinite. Squares are taken around the mean and merged
    by the formula of Chan, Golub & LeVeque (1979): sums of x² would lose a spread of 1e-3 around a logit of 1e6.

    Attributes:
        count: samples, a scalar.
        mean: of each logit, ``(C,)``.
        squares: Σ(x − mean)² of each logit, ``(C,)``.
        lowest: of each logit, ``(C,)``.
        highest: of each logit, ``(C,)``.
        loss: Σ of the cross-entropy, unweighted, in nats, a scalar.
    """

    count: Tensor
    mean: Tensor
    squares: Tensor
    lowest: Tensor
    highest: Tensor
    loss: Tensor

    @staticmethod
    def of(logits: Tensor, target: Tensor) -> "LogitSpread":
        """Return the sums over a batch of logits ``(B, C)`` and labels ``(B,)``."""
        logits = logits.detach().double()
        mean = logits.mean(0)
        return LogitSpread(
            count=logits.new_full((), len(logits)),
            mean=mean,
            squares=(logits - mean).square().sum(0),
            lowest=logits.amin(0),
            highest=logits.amax(0),
            loss=F.cross_entropy(logits, target, reduction="sum"),
        )

    def __add__(self, other: "LogitSpread") -> "LogitSpread":
        """Return the sums over the samples of both."""
        count = self.count + other.count
        shift = other.mean - self.mean
        return LogitSpread(
            count=count,
            mean=self.mean + shift * other.count / count,
            squares=self.squares + other.squares + shift.square() * self.count * other.count / count,
            lowest=torch.minimum(self.lowest, other.lowest),
            highest=torch.maximum(self.highest, other.highest),
            loss=self.loss + other.loss,
        )

    def over_ranks(self, strategy: Strategy) -> "LogitSpread":
        """Return the sums over the samples of all ranks; a collective call."""
        # reduce writes into what it is given.
        count = strategy.reduce(self.count.clone(), reduce_op="sum")
        mean = strategy.reduce(self.mean * self.count, reduce_op="sum") / count
        around = self.squares + self.count * (self.mean - mean).square()
        return LogitSpread(
            count=count,
            mean=mean,
            squares=strategy.reduce(around, reduce_op="sum"),
            lowest=strategy.reduce(self.lowest.clone(), reduce_op="min"),
            highest=strategy.reduce(self.highest.clone(), reduce_op="max"),
            loss=strategy.reduce(self.loss.clone(), reduce_op="sum"),
        )

    @property
    def largest_deviation(self) -> float:
        """The largest standard deviation over samples of any logit."""
        return float((self.squares.max() / self.count).sqrt())

    @property
    def constant(self) -> bool:
        """Whether all samples have the same logits, to the last bit."""
        return torch.equal(self.lowest, self.highest)

    @property
    def mean_loss(self) -> float:
        """The mean cross-entropy, in nats."""
        return float(self.loss / self.count)

    @property
    def guessing(self) -> float:
        """The loss of guessing, ln C."""
        return math.log(len(self.mean))
