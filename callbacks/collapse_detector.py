"""Stops a run whose network has stopped computing anything."""

import math
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, final

import torch
import torch.nn.functional as F
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from dropout_lab.callbacks.ranks import gathered, validates_fit
from dropout_lab.callbacks.tensorboard import Charted, Charts
from dropout_lab.models.dropout.base import check_count


@final
@dataclass(frozen=True)
class LogitSpread:
    """Sums over samples, kept on the logits' device; ``(C,)`` of each logit, or scalars.

    All are float64: in float32 the square of a logit of 1e20 is infinite. Squares are taken around the mean and merged
    by the formula of Chan, Golub & LeVeque (1979): sums of x² would lose a spread of 1e-3 around a logit of 1e6.
    """

    count: Tensor
    mean: Tensor
    squares: Tensor
    """Σ(x − mean)²."""
    lowest: Tensor
    highest: Tensor
    loss: Tensor
    """Σ of the cross-entropy, unweighted, in nats."""

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

    def over_ranks(self) -> "LogitSpread":
        """Return the sums over the samples of all ranks; all of them must call it."""
        first, *others = gathered(LogitSpread(*(part.cpu() for part in vars(self).values())))
        return reduce(LogitSpread.__add__, others, first)

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


NEVER = torch.iinfo(torch.int64).max


@final
class TrainingCollapsed(Exception):  # noqa: N818 - like StopIteration, no mistake of anybody's
    """A run was stopped at a training step, because going on could only waste time, for a reason that was seen."""

    def __init__(self, reason: str, step: int) -> None:
        super().__init__(f"stopped at step {step:,}: {reason}")
        self.reason = reason
        self.step = step


def first_not_finite(module: torch.nn.Module) -> str | None:
    """Return the name of the first parameter or buffer with a NaN or an infinity; None if all are finite."""
    tensors = {
        name: tensor.detach()
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
        if tensor.is_floating_point() and tensor.numel() > 0
    }
    # The largest magnitude of all, in one pass and one answer from the device; NaN stays NaN in it.
    if not tensors or torch.nn.utils.get_total_norm(tensors.values(), math.inf).isfinite():
        return None
    return next(name for name, tensor in tensors.items() if not tensor.isfinite().all())


@final
class CollapseDetector(Callback, Charted):
    """Stops a run, by raising :class:`TrainingCollapsed` on every rank, when its network is lost.

    It is lost when the loss of a training step, a parameter or a buffer is not finite; or when it has collapsed: the
    mean cross-entropy (unweighted, in nats) is within ``loss_tolerance`` of ln C, and the largest standard deviation
    over samples of any logit is at most ``logit_tolerance``.

    Losses are looked at on the device, and read every ``every_n_steps`` batches; weights are checked before each
    validation, each full checkpoint and at the end of each epoch, so that no such checkpoint is written. Collapse is
    looked for in the samples of each validation, logged as ``collapse/logit_std``, and, at the end of an epoch that
    does not end in a validation, in the last whole training batch, evaluated. It is raised once the validation is
    logged and before checkpoints are written of it.

    A network that has just been initialised looks the same: five layers that start from small weights (1e-2) hold
    their logits within 1e-5 or 1e-8 for epochs of SGD. So until the loss has once been below ln C −
    ``loss_tolerance``, only ends of epochs count, and only logits that are the same to the last bit, as those of a
    network whose ReLUs are all dead.

    A network that gives the same logits for all images but has learned how frequent the classes are is not seen
    where classes are unbalanced: its loss is the entropy of the labels, below ln C. Lightning calls no ``on_fit_end``
    then, but ``on_exception``; the command ``fit`` catches it, and the run's result stands, with the reason in it.

    Source: A. Casallas, *DropAlan: An Input-Weighted Approach to Dropout Regularization*, §III.B: its network "lost
    its ability to inference, as the loss increased to 2.30", after 55,000 iterations, and trained on.

    Args:
        loss_tolerance: in nats, above 0. 0.01 is far above the noise of constant logits that go on training (1e-4 by
            Adam), and below what the slightest learning brings.
        logit_tolerance: 0 or more. Where a network has learned anything its logits vary by 0.01 and more.
        every_n_steps: training batches between two readings of the losses, 1 or more; each costs a wait for the
            device, and under DDP a collective call.
    """

    section = "collapse"
    charts: ClassVar[Charts] = {"standard deviation of the logits": ["collapse/logit_std"]}

    def __init__(
        self, loss_tolerance: float = 0.01, logit_tolerance: float = 1e-3, every_n_steps: int = 50
    ) -> None:
        if not 0 < loss_tolerance < math.inf:
            raise ValueError(f"loss_tolerance must be a number above 0, got {loss_tolerance}")
        if not 0 <= logit_tolerance < math.inf:
            raise ValueError(f"logit_tolerance must be a number of 0 or more, got {logit_tolerance}")
        check_count("every_n_steps", every_n_steps, least=1)
        self.loss_tolerance = loss_tolerance
        self.logit_tolerance = logit_tolerance
        self.every_n_steps = every_n_steps
        # Whether the network has ever been better than guessing.
        self.learned = False
        self._loaded = NEVER
        self._forget()

    def state_dict(self) -> dict[str, Any]:
        """Return what is known, of all ranks, which must all call it: losses that nobody has read yet too."""
        first = NEVER if self._first_bad is None else int(self._first_bad)
        return {"learned": self.learned, "first_bad": min(gathered(first))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.learned = state_dict["learned"]
        # Not there in checkpoints of before.
        self._loaded = state_dict.get("first_bad", NEVER)

    def _forget(self) -> None:
        self._first_bad: Tensor | None = None if self._loaded == NEVER else torch.tensor(self._loaded)
        self._loaded = NEVER
        self._batch: tuple[Tensor, Tensor] | None = None
        self._seen: LogitSpread | None = None
        self._judged_step = -1
        self._reason: str | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._forget()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        seen = torch.where(outputs["loss"].isfinite(), NEVER, trainer.global_step)
        before = self._first_bad
        self._first_bad = seen if before is None else torch.minimum(before.to(seen.device), seen)
        # The last batch of an epoch may be of one sample, over which nothing varies.
        if self._batch is None or len(batch[1]) >= len(self._batch[1]):
            self._batch = batch
        if (batch_idx + 1) % self.every_n_steps == 0:
            self._check_losses(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seen = None
        if validates_fit(trainer):
            self._check_losses(trainer)
            self._check_weights(trainer, pl_module)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *index: int
    ) -> None:
        if validates_fit(trainer):
            part = LogitSpread.of(outputs["logits"], batch[1])
            self._seen = part if self._seen is None else self._seen + part

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._seen is None:
            return
        seen = self._seen.over_ranks()
        pl_module.log("collapse/logit_std", seen.largest_deviation, sync_dist=True)
        self._judge(seen, trainer, "validation images", at_end=trainer.is_last_batch)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # What the validation has shown is raised once its metrics are logged.
        self._stop(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._check_losses(trainer)
        self._check_weights(trainer, pl_module)
        if self._batch is not None and self._judged_step != trainer.global_step:
            seen = LogitSpread.of(_evaluate(trainer, pl_module, self._batch[0]), self._batch[1])
            self._judge(seen.over_ranks(), trainer, "training images", at_end=True)
            self._stop(trainer)
        self._batch = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        # Once the run is stopped, the user has asked for this one. The reason is not kept: whoever saves in between may
        # leave it to the next check, whenever that is, so that it is not the moment of saving that decides.
        if self._reason is None and (reason := self._bad_weights(trainer, pl_module)):
            raise TrainingCollapsed(reason, trainer.global_step)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, TrainingCollapsed):
            self._reason = exception.reason

    def _check_losses(self, trainer: Trainer) -> None:
        if self._first_bad is None:
            return
        first = int(trainer.strategy.reduce(self._first_bad.clone(), reduce_op="min"))
        if first != NEVER:
            self._reason = f"the loss of training step {first:,} is not finite"
            self._stop(trainer)

    def _check_weights(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if reason := self._bad_weights(trainer, pl_module):
            self._reason = reason
            self._stop(trainer)

    def _bad_weights(self, trainer: Trainer, pl_module: LightningModule) -> str | None:
        """Return what is not finite; the first of any rank, so that all say the same."""
        names = [name for name, _ in (*pl_module.named_parameters(), *pl_module.named_buffers())]
        bad = first_not_finite(pl_module)
        index = torch.tensor(len(names) if bad is None else names.index(bad), device=pl_module.device)
        first = int(trainer.strategy.reduce(index, reduce_op="min"))
        return f"{names[first]} is not finite" if first < len(names) else None

    def _judge(self, seen: LogitSpread, trainer: Trainer, of: str, at_end: bool) -> None:
        self._judged_step = trainer.global_step
        loss, deviation, guessing = seen.mean_loss, seen.largest_deviation, seen.guessing
        if loss < guessing - self.loss_tolerance:
            self.learned = True
        counts = self.learned or (at_end and seen.constant)
        if counts and abs(loss - guessing) <= self.loss_tolerance and deviation <= self.logit_tolerance:
            self._reason = (
                f"the network has collapsed: on {int(seen.count):,} {of} its loss is {loss:.4f}, that of guessing "
                f"among {len(seen.mean)} classes, and no logit varies by more than {deviation:.2g} (standard deviation)"
            )

    def _stop(self, trainer: Trainer) -> None:
        if self._reason is not None:
            raise TrainingCollapsed(self._reason, trainer.global_step)


def _evaluate(trainer: Trainer, pl_module: LightningModule, images: Tensor) -> Tensor:
    """Return logits in evaluation; modules are then in the mode that they were in."""
    modes = {module: module.training for module in pl_module.modules()}
    pl_module.eval()
    try:
        with torch.no_grad(), trainer.precision_plugin.val_step_context():
            logits: Tensor = pl_module(images)
            return logits
    finally:
        for module, training in modes.items():
            module.training = training
