"""The one LightningModule: any network, any dropout variant, any image data."""

import math
import os
from typing import Any, Literal, Protocol, final, get_args, runtime_checkable

import torch
import torch.nn.functional as F
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from pytorch_lightning.utilities import rank_zero_warn
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics import MeanMetric

from dropout_lab.models.dropout import Dropout, divergence, sampling
from dropout_lab.models.dropout.base import check_count
from dropout_lab.models.from_checkpoint import FromCheckpoint
from dropout_lab.models.metrics import SplitMetrics
from dropout_lab.models.networks import Network
from dropout_lab.models.optimizers import optimizer_and_scheduler
from dropout_lab.models.schedulers import check_schedule, steps_of
from dropout_lab.models.steps import Batch, Prediction, StepLog, StepOutput, entropy, seed_stream

CompileMode = Literal["default", "reduce-overhead", "max-autotune"]
# Where a checkpoint has weights: those that are measured, and those that WeightAveraging trains on.
WEIGHTS = ("state_dict", "current_model_state")
# Where it has the classes' names.
CLASS_NAMES = "class_names"


@final
class ImageClassifier(FromCheckpoint):
    """Trains a network by cross-entropy, to which auxiliary heads add theirs, and measures it on each split.

    Logged once an epoch as ``train/…``, ``val/…``, ``test/…``: loss, accuracy, top5, nll, ece
    (:class:`~dropout_lab.models.metrics.SplitMetrics`); ``train/loss_step`` every ``log_every_n_steps`` steps; with
    ``mc_samples`` ``test/entropy``, the mean over samples of the predictive entropy.

    Args:
        network: maps images to logits.
        optimizer: given the parameters, makes the optimizer; with fused kernels where it has them, unless its own
            ``fused`` or ``foreach`` says otherwise (:func:`dropout_lab.models.optimizers.use_fused`).
        scheduler: given the optimizer, makes the learning-rate scheduler; None keeps the rate constant.
            CosineAnnealingLR, LinearLR, OneCycleLR, PolynomialLR and WarmupCosine last as long as the fit where a run's
            settings leave out T_max, total_iters, total_steps or total.
        scheduler_interval: step the scheduler each ``"epoch"`` or each ``"step"``.
        class_weights: weight of each class in the loss, of all splits; None weighs all alike; ``"balanced"`` takes
            N / (C · n_c) of the data's training images.
        kl_weight: weight of the dropout layers' divergence in the training loss, which is
            cross-entropy + kl_weight · Σ kl / N_train (Kingma et al. 2015); logged as ``train/kl``.
        mc_samples: average the softmax over so many passes with dropout in ``test`` and ``predict`` (Monte Carlo
            dropout, Gal & Ghahramani 2016), and report the predictive entropy in nats; 0 for one pass without. Where no
            pass differs from that one, a warning says so and no entropy is reported.
        compile: mode of ``torch.compile`` for the network during a fit, its validations included; None does not
            compile. Masks are drawn from another stream than without, the same at each repetition. On CPUs it needs a
            C++ compiler; ``"reduce-overhead"`` and ``"max-autotune"`` replay CUDA graphs on a GPU.
        channels_last: keep convolutions' weights and images in ``torch.channels_last``; results are the same but for
            rounding. A network without convolutions is left alone.

    Attributes:
        class_names: names of the classes by label, kept in checkpoints; None where nobody has told them.
    """

    def __init__(
        self,
        network: Network,
        # A lambda, because the command line reads it as class_path and init_args: one can set its lr alone.
        optimizer: OptimizerCallable = lambda params: torch.optim.Adam(params, lr=1e-3),
        scheduler: LRSchedulerCallable | None = None,
        scheduler_interval: Literal["epoch", "step"] = "epoch",
        class_weights: list[float] | Literal["balanced"] | None = None,
        kl_weight: float = 1.0,
        mc_samples: int = 0,
        compile: CompileMode | None = None,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        if scheduler_interval not in ("epoch", "step"):
            raise ValueError(f"scheduler_interval must be 'epoch' or 'step', got {scheduler_interval!r}")
        if not 0 <= kl_weight < math.inf:
            raise ValueError(f"kl_weight must be a number of 0 or more, got {kl_weight}")
        check_count("mc_samples", mc_samples, least=0)
        if compile is not None and compile not in get_args(CompileMode):
            raise ValueError(
                f"compile must be null or one of {', '.join(get_args(CompileMode))}, got {compile!r}"
            )
        self.network = network
        # Not by the argument's name: that is a method of every module.
        self.compile_mode = compile
        self._replays_graphs = False
        self.channels_last = channels_last and any(each.dim() == 4 for each in network.parameters())
        if self.channels_last:
            network.to(memory_format=torch.channels_last)
        self.kl_weight = kl_weight
        self.mc_samples = int(mc_samples)
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.scheduler_interval = scheduler_interval
        # The scheduler's argument that takes the steps of the fit, because the settings leave it out.
        self.scheduler_total: str | None = None
        # Not a buffer of the state dict: it is an argument, and a checkpoint must load with other weights.
        self.class_weights: Tensor | None
        weights = loss_weights(class_weights, network.num_classes)
        self.balanced = class_weights == "balanced"
        self.register_buffer("class_weights", weights, persistent=False)
        self.train_metrics, self.val_metrics, self.test_metrics = (
            SplitMetrics(network.num_classes, weights) for _ in range(3)
        )
        self.test_entropy = MeanMetric(nan_strategy="disable")
        # Whether a Monte Carlo pass of this test or prediction was another than the pass without.
        self._sampled = False
        self.steps = StepLog()
        self._seed: str | None = None
        # Gradients of this batch count so many times in the optimizer's step.
        self._gradient_factor = 1.0
        # Whether it was said that the network is trained in evaluation.
        self._said_evaluation = False
        # Whether the metrics have this training batch.
        self._counted = False
        self.class_names: list[str] | None = None
        # Layers with a divergence: to look for them at each step takes as long as a small layer.
        self._learned: list[Dropout] = []

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning writes the name of each hook before and after it calls it, some fifty times a step. A module's own
        # way looks for parameters, buffers and modules of that name first: 50 µs a step, a fortieth of a small one.
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def forward(self, images: Tensor, target: Tensor | None = None) -> Tensor:
        """Map images to logits, ``(B, classes)``; labels are for the variants that look at them in training."""
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.network(images, target)
        if not self._replays_graphs:
            return logits
        if self.training:
            for layer in self.network.dropout_layers().values():
                layer.own()
        return logits.clone()

    def setup(self, stage: str) -> None:
        if not self.balanced:
            return
        weights = balanced_weights(self.trainer.datamodule)  # type: ignore[attr-defined]
        for part in (self, self.train_metrics, self.val_metrics, self.test_metrics):
            assert part.class_weights is not None
            part.class_weights.copy_(weights)

    def logged_metrics(self) -> list[str]:
        """Return the names of what a fit logs once an epoch, to be watched by callbacks and schedulers."""
        return [f"{prefix}/{name}" for prefix in ("train", "val") for name in self.val_metrics.names()]

    def on_fit_start(self) -> None:
        self.steps.restart()
        self._learned = [each for each in self.network.dropout_layers().values() if each.kl() is not None]
        self._replays_graphs = replays_graphs(self.compile_mode, self.device)
        if self.compile_mode is not None:
            # What was compiled for an earlier fit in this process has that fit's hooks, and counts against the number
            # of versions that PyTorch keeps before it stops compiling.
            torch.compiler.reset()
            # It is compiled when it is first called: forward hooks must be there by then.
            self.network.compile(mode=self.compile_mode)
        # Ranks that a script seeded alike, or that were forked, must have one too.
        own = str(torch.initial_seed()) if self.trainer.world_size > 1 else None
        self._seed = os.environ.get("PL_GLOBAL_SEED", own)

    def on_train_start(self) -> None:
        check_schedule(self.trainer)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self._counted = False
        self._gradient_factor = fill_window(
            batch_idx, self.trainer.num_training_batches, self.trainer.accumulate_grad_batches
        )
        if not (self.network.training or self._said_evaluation):
            self._said_evaluation = True
            rank_zero_warn(
                f"the network is in evaluation in training (epoch {self.current_epoch}, batch {batch_idx}): nothing "
                "drops, and BatchNorm takes its running statistics. A callback that calls eval() calls train() after it"
            )
        seed_stream(self.device, self._seed, self.global_rank, self.current_epoch, batch_idx)

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        factor = self._gradient_factor
        super().backward(loss if factor == 1 else loss * factor, *args, **kwargs)

    def training_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        images, target = batch
        logits = self(images, target)
        loss = F.cross_entropy(logits, target, weight=self.class_weights)
        for weight, auxiliary in self.network.take_auxiliary():
            loss = loss + weight * F.cross_entropy(auxiliary, target, weight=self.class_weights)
        kl = divergence(self._learned)
        if kl is not None:
            loss = loss + self.kl_weight * kl / self._training_images()
        if not self._counted:
            # LBFGS evaluates a batch again and again.
            self.train_metrics.update(loss, logits, target)
            self._counted = True
        if self.steps.due(self.trainer):
            parts = {} if kl is None else {"train/kl": kl}
            self.steps.write(self.trainer, {"train/loss_step": loss, **parts})
        return {"loss": loss, "logits": logits}

    def validation_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        images, target = batch
        return self._measure(self(images), target, self.val_metrics)

    def test_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        images, target = batch
        if not self.mc_samples:
            return self._measure(self(images), target, self.test_metrics)
        log_probabilities = self._log_probabilities(images)
        self.test_entropy.update(entropy(log_probabilities))
        return self._measure(log_probabilities, target, self.test_metrics)

    def predict_step(self, batch: Batch, batch_idx: int) -> Prediction:
        images, target = batch
        log_probabilities = self._log_probabilities(images)
        return Prediction(log_probabilities.exp(), entropy(log_probabilities), target)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # What all ranks have counted so far, in the midst of an epoch too. Nothing else: callbacks that average weights
        # or prune them have put others there, and averages keep what is trained on beside them.
        self._synchronize()
        held = {name for name, _ in (*self.named_parameters(), *self.named_buffers())}
        states = [checkpoint[key] for key in WEIGHTS if key in checkpoint]
        for name, value in self.trainer.strategy.lightning_module_state_dict().items():
            if name not in held:
                for state in states:
                    state[name] = value
        if self.class_names is not None:
            checkpoint[CLASS_NAMES] = list(self.class_names)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.class_names = checkpoint.get(CLASS_NAMES)

    def kl(self) -> Tensor | None:
        """Return the divergence of all dropout layers; None if none has one."""
        return divergence(self.network.dropout_layers().values())

    def on_validation_start(self) -> None:
        self._synchronize()
        seed_stream(self.device, self._seed, self.global_rank, "validation", self.global_step)

    def on_train_epoch_end(self) -> None:
        self._synchronize()
        # A fit that continues from the validation at an epoch's end comes here without a batch.
        if not self.train_metrics.empty:
            self._log_split(self.train_metrics, "train")

    def on_validation_epoch_end(self) -> None:
        self._log_split(self.val_metrics, "val")

    def on_test_epoch_end(self) -> None:
        self._log_split(self.test_metrics, "test")
        if not self.mc_samples:
            return
        if self._has_sampled():
            self.log("test/entropy", self.test_entropy.compute(), sync_dist=True)
        self.test_entropy.reset()

    def on_predict_epoch_end(self) -> None:
        if self.mc_samples:
            self._has_sampled()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        # Without a trainer it is only seen whether they can be made.
        trainer = self._trainer
        total = 1 if trainer is None else steps_of(trainer, self.scheduler_interval)
        if self.scheduler_total is not None:
            # What a checkpoint says of it, for whoever goes on from there without this program.
            self.hparams["scheduler"]["init_args"][self.scheduler_total] = int(total)
        return optimizer_and_scheduler(
            self.parameters(),
            self.make_optimizer,
            self.make_scheduler,
            self.scheduler_interval,
            {} if self.scheduler_total is None else {self.scheduler_total: int(total)},
            (trainer and trainer.check_val_every_n_epoch) or 1,
        )

    def _measure(self, logits: Tensor, target: Tensor, metrics: SplitMetrics) -> StepOutput:
        loss = F.cross_entropy(logits, target, weight=self.class_weights)
        metrics.update(loss, logits, target)
        return {"loss": loss, "logits": logits}

    def _log_probabilities(self, images: Tensor) -> Tensor:
        """Return log softmax, or the logarithm of its mean over passes with dropout."""
        if not self.mc_samples:
            logits: Tensor = self(images)
            return logits.log_softmax(dim=1)
        with sampling(self.network):
            passes = torch.stack([self(images).log_softmax(dim=1) for _ in range(self.mc_samples)])
        if not self._sampled:
            plain = self(images).log_softmax(dim=1)
            # Attention takes other kernels where it could drop, which round otherwise.
            self._sampled = not torch.allclose(passes, plain.expand_as(passes), rtol=1e-3, atol=1e-3)
        return passes.logsumexp(dim=0) - math.log(self.mc_samples)

    def _has_sampled(self) -> bool:
        """Return whether Monte Carlo passes have differed in any process, and warn if they have not."""
        sampled = self.trainer.strategy.reduce_boolean_decision(self._sampled, all=False)
        self._sampled = False
        if not sampled:
            rank_zero_warn(
                f"mc_samples={self.mc_samples}: no pass differs from the one without dropout, as no layer of the "
                "network has drawn anything: this is no Monte Carlo dropout. NoDropout draws nothing, MalDrop nothing "
                "without labels, and torch.nn.functional.dropout in a forward of your own is not reached; take a layer"
            )
        return sampled

    def _training_images(self) -> int:
        loader = self.trainer.train_dataloader
        assert isinstance(loader, DataLoader)
        return len(loader.dataset)  # type: ignore[arg-type]

    def _synchronize(self) -> None:
        for layer in self.network.dropout_layers().values():
            layer.synchronize()

    def _log_split(self, metrics: SplitMetrics, prefix: str) -> None:
        results = {f"{prefix}/{name}": value for name, value in metrics.compute().items()}
        in_bar = f"{prefix}/accuracy"
        # Every process has the metrics of all; sync_dist, the mean of equal numbers, tells Lightning so.
        self.log(in_bar, results.pop(in_bar), prog_bar=True, sync_dist=True)
        self.log_dict(results, sync_dist=True)
        metrics.reset()


def fill_window(batch: int, batches: float, accumulated: int) -> float:
    """Return the factor that makes the gradient of an epoch's last step the mean over its batches.

    Lightning divides each by ``accumulated``, of which that step may have fewer (Lightning-AI/pytorch-lightning
    #19987).
    """
    last = batches % accumulated
    return accumulated / last if last and batch >= batches - last else 1.0


def replays_graphs(mode: CompileMode | None, device: torch.device) -> bool:
    """Tell whether compiled code replays CUDA graphs, whose outputs the next call overwrites."""
    return mode in ("reduce-overhead", "max-autotune") and device.type == "cuda"


@runtime_checkable
class CountsClasses(Protocol):
    """Data that know how many training images each class has."""

    @property
    def class_counts(self) -> Tensor:
        """Training images of each class, ``(classes,)``."""


def loss_weights(class_weights: list[float] | str | None, classes: int) -> Tensor | None:
    """Return the weights of an argument, ``(classes,)``; ones where ``"balanced"`` waits for the data."""
    if class_weights is None:
        return None
    if class_weights == "balanced":
        return torch.ones(classes)
    if (
        isinstance(class_weights, str)
        or len(class_weights) != classes
        or not all(0 < weight < math.inf for weight in class_weights)
    ):
        raise ValueError(
            f"class_weights needs {classes} numbers above 0, one a class, or 'balanced', got {class_weights!r}"
        )
    return torch.tensor(class_weights, dtype=torch.float32)


def balanced_weights(data: object) -> Tensor:
    """Return w_c = N / (C · n_c), ``(classes,)``: each class counts as much as any other, and the mean sample 1.

    Source: G. King, L. Zeng, *Logistic regression in rare events data*, 2001; scikit-learn's ``"balanced"``.
    """
    if not isinstance(data, CountsClasses):
        raise ValueError(
            f"class_weights='balanced' needs a data module with class_counts, got {type(data).__name__}; "
            "give the weights as numbers"
        )
    counts = data.class_counts
    if counts.min() == 0:
        raise ValueError(
            "class_weights='balanced' needs a training image of each class, "
            f"got {counts.tolist()} images; give the weights as numbers"
        )
    return counts.sum() / (len(counts) * counts)
