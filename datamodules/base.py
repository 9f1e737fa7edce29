"""The base of all data modules: a subclass reads three splits, everything else is here."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence, Sized
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from pytorch_lightning.overrides.distributed import UnrepeatedDistributedSampler
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor, distributed
from torch.utils.data import DataLoader, Sampler

from dropout_lab.datamodules.augment import Augmentation
from dropout_lab.datamodules.batches import BatchDataset, Images, Placement, Splits, resize, whole_batch
from dropout_lab.datamodules.errors import DataError
from dropout_lab.datamodules.normalize import NORMALIZATIONS, Normalization, NormalizationName
from dropout_lab.datamodules.sampling import (
    BatchStreams,
    EpochOrder,
    InEpochs,
    ResumableLoader,
    Shuffled,
    WithReplacement,
    batches_done,
    samples_of_epoch,
)
from dropout_lab.datamodules.splits import check_bounds, check_size

# A typing error must not ask for terabytes.
MOST_PIXELS = 4096
MOST_IMAGES = 2**31 - 1
MOST_WORKERS = 256

# Names in a note.
MOST_NAMES = 5
# Names of classes in a message.
SHOWN = 10

# NumPy's bound.
MOST_SEED = 2**32 - 1

Loader = DataLoader[tuple[Tensor, Tensor]]


class ImageDataModule(LightningDataModule, ABC):
    """Three splits of labelled images as standard DataLoaders of whole batches.

    Batches are ``(images, labels)``: ``(B, C, H, W)`` float32 and ``(B,)`` int64.

    A data set of your own is a subclass with the class attributes below and ``read``. If it has arguments of its own,
    its ``__init__`` names these and hands the rest on: ``def __init__(self, root: str = "data", **common: Any)``. Those
    of this package take all but ``root`` by name.

    Args:
        root: folder that holds the data set's own folder.
        batch_size: images per batch.
        val_size: validation images, a number or a share of the training images in (0, 1).
        train_limit: use only the first so many training images; statistics still come from all of them.
        image_size: resize to so many pixels square; None keeps the stored size.
        normalize: ``"standard"``, ``"mean-255"``, ``"mean-scalar-255"``, ``"mean-image"`` or ``"none"``.
        augment: augment training images, by shifts, mirroring or crops as suits the data set (its ``augmentations``).
        seed: of the order of training images, and of the split where it is random.
        download: fetch the official files if they are missing and the owner offers them.
        num_workers: processes that prepare batches; a gather in memory rarely needs one.
        replacement: draw training images with replacement, as many an epoch as there are, instead of each once.
        drop_last: leave out an epoch's last training batch where it is smaller than the others; None: where it is one
            image, whose variance BatchNorm cannot take and which would weigh as much as a whole batch. Of several
            processes some may have one image more than others; each image is drawn once an epoch.
        device: keep the images there: None in the machine's memory, ``"cuda"`` on the GPU that the trainer computes
            on, ``"auto"`` there too if there is one and they fit.
    """

    num_classes: int
    """Classes of the task."""
    class_names: tuple[str, ...]
    """Their names, by label."""
    stored_shape: tuple[int, int, int]
    """Channels, height, width as stored."""
    augmentations: ClassVar[tuple[Augmentation, ...]] = ()
    """What ``augment=True`` does to a training batch."""

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 100,
        val_size: int | float = 0.1,
        train_limit: int | None = None,
        image_size: int | None = None,
        normalize: NormalizationName = "standard",
        augment: bool = False,
        seed: int = 0,
        download: bool = False,
        num_workers: int = 0,
        device: str | None = None,
        drop_last: bool | None = None,
        replacement: bool = False,
    ) -> None:
        super().__init__()
        check_bounds("batch_size", batch_size, 1, MOST_IMAGES)
        check_bounds("num_workers", num_workers, 0, MOST_WORKERS)
        check_bounds("seed", seed, 0, MOST_SEED)
        check_size("val_size", val_size)
        check_bounds("train_limit", train_limit, 1)
        check_bounds("image_size", image_size, 1, MOST_PIXELS)
        if normalize not in NORMALIZATIONS:
            raise ValueError(f"normalize must be one of {', '.join(NORMALIZATIONS)}, got {normalize!r}")
        self.root = Path(root).expanduser()
        self.batch_size = batch_size
        self.val_size = val_size
        self.train_limit = train_limit
        self.image_size = image_size
        self.normalize = normalize
        self.augment = augment
        self.seed = seed
        self.download = download
        self.num_workers = num_workers
        self.device = device
        self.drop_last = drop_last
        self.replacement = replacement
        self._placement = Placement(device, num_workers)
        self._splits: Splits | None = None
        self._normalization: Normalization | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width of the images in a batch."""
        channels, height, width = self.stored_shape
        return (channels, self.image_size or height, self.image_size or width)

    @property
    def splits(self) -> Splits:
        """The three splits, resized, as uint8."""
        if self._splits is None:
            raise RuntimeError(f"call setup() of {type(self).__name__} before its data are used")
        return self._splits

    @property
    def normalization(self) -> Normalization:
        """From pixels to network input, and back."""
        if self._normalization is None:
            raise RuntimeError(f"call setup() of {type(self).__name__} before its data are used")
        return self._normalization

    @property
    def notes(self) -> list[str]:
        """What who reads results should know of the data, a line each."""
        found = []
        for name, split in zip(("training", "validation", "test"), self.splits, strict=True):
            counts = split.labels.bincount(minlength=self.num_classes)
            absent = [self.class_names[label] for label in (counts == 0).nonzero().squeeze(1).tolist()]
            if absent:
                more = ", …" if len(absent) > MOST_NAMES else ""
                listed = f"{', '.join(absent[:MOST_NAMES])}{more}"
                found.append(f"no {name} image of {len(absent)} of {self.num_classes} classes: {listed}")
        return found

    @property
    def fingerprint(self) -> str | None:
        """Digest of the images and their splits; None for published files, which do not change."""
        return None

    @property
    def class_counts(self) -> Tensor:
        """Training images of each class, ``(num_classes,)``."""
        return self.splits.train.labels.bincount(minlength=self.num_classes)

    def to_pixels(self, images: Tensor) -> Tensor:
        """Return images of a batch to pixels in [0, 1], to look at."""
        return self.normalization.inverse(images)

    @abstractmethod
    def read(self) -> Splits:
        """Read the three splits from disk, as stored, or raise DataError."""

    def fetch(self) -> None:
        """Download the official files that are missing; called if ``download`` is set."""

    def train_sampler(self) -> Sampler[int] | None:
        """Return a sampler of training images; None shuffles them, or draws with ``replacement``."""
        return None

    def prepare_data(self) -> None:
        """Fetch what is missing and read, so that bad data are found before a run begins."""
        if self.download:
            self.fetch()
        self.setup()

    def setup(self, stage: str | None = None) -> None:
        if self._splits is not None:
            return
        train, val, test = self.read()
        if self.image_size is not None and train.pixels.shape[-2:] != (self.image_size, self.image_size):
            train, val, test = (resize(split, self.image_size) for split in (train, val, test))
        self._normalization = NORMALIZATIONS[self.normalize](train)
        if self.train_limit is not None:
            if self.train_limit > len(train.labels):
                most = f"{len(train.labels)}, the size of the train split"
                raise ValueError(f"train_limit must be at most {most}, got {self.train_limit}")
            train = train.select(slice(self.train_limit))
        self._splits = Splits(train, val, test)
        if self.replacement and (sampler := self.train_sampler()) is not None:
            self._splits = None
            raise ValueError(
                "replacement must be false where the data have a sampler of their own, which says how they are drawn, "
                f"got a {type(sampler).__name__}; leave out one of the two"
            )

    def take_classes(self, names: Sequence[str]) -> None:
        """Number the classes as a run has learned them, by their names, once the data are read.

        DataError if there are others here than the run knows; some of the run's may be missing here.
        """
        here = list(self.class_names)
        if here == list(names):
            return
        unknown = [name for name in here if name not in names]
        if unknown:
            raise DataError(
                f"{self.root} holds the class {unknown[0]!r}, which the run was not trained on ({len(unknown)} such): "
                f"the run knows {_listed(names)}; there are {_listed(here)}. Rename or remove its folder"
            )
        missing = [name for name in names if name not in here]
        rank_zero_warn(
            f"{self.root} holds no images of {len(missing)} of the run's {len(names)} classes ({_listed(missing)}): "
            "what is measured there does not cover them"
        )
        places = torch.tensor([names.index(name) for name in here])
        self._splits = Splits(*(split._replace(labels=places[split.labels]) for split in self.splits))
        self.class_names, self.num_classes = tuple(names), len(names)

    def transfer_batch_to_device(
        self, batch: tuple[Tensor, Tensor], device: torch.device, dataloader_idx: int
    ) -> tuple[Tensor, Tensor]:
        """Move a batch; Lightning's own version searches arbitrary structures for tensors."""
        images, labels = batch
        return images.to(device, non_blocking=True), labels.to(device, non_blocking=True)

    def train_dataloader(self) -> Loader:
        """Return batches of the train split in an order that follows from ``seed``.

        A resumed fit continues at the batch where it stopped.
        """
        augment = self.augmentations if self.augment else ()
        sampler = self._order()
        if not isinstance(sampler, EpochOrder):
            return self._loader(self.splits.train, sampler, augment, drop_last=bool(self.drop_last))
        samples = samples_of_epoch(sampler.length, self.batch_size, self.drop_last, sampler.num_replicas)
        sampler.share(samples)
        if self.num_workers > 0:
            sampler.shared_epoch.share_memory_()  # type: ignore[no-untyped-call]
        # With overfit_batches Lightning takes a sampler of its own, whose last batch the loader leaves out, and images
        # stay the same each epoch.
        if self.trainer is not None and not self.trainer.overfit_batches:  # type: ignore[attr-defined]
            epoch, batches = batches_done(self.trainer)
            sampler.begin(epoch, batches * self.batch_size)
        streams = BatchStreams(self.seed, sampler.shared_epoch)
        drops = samples < sampler.length
        return self._loader(self.splits.train, sampler, augment, streams, ResumableLoader, drops)

    def dropped(self, processes: int = 1) -> int:
        """Return how many images of an epoch so many processes leave out, with the last training batch."""
        order = self._order()
        if not isinstance(order, EpochOrder):
            return 0
        samples = samples_of_epoch(order.length, self.batch_size, self.drop_last, processes)
        return max(0, order.length - samples)

    def val_dataloader(self) -> Loader:
        return self._loader(self.splits.val)

    def test_dataloader(self) -> Loader:
        return self._loader(self.splits.test)

    predict_dataloader = test_dataloader

    def training_batches(self, images: int | None, step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield training images to be measured on, in batches and not augmented: this process's part of them.

        All of the split where it has no more than ``images``, or with None; of a larger one so many, drawn with
        replacement by ``seed`` and ``step``. No random stream of torch's is drawn from.
        """
        there = len(self.splits.train.labels)
        index = np.arange(there)
        if images is not None and images < there:
            # Beside the streams of epochs, which have two numbers.
            index = np.random.default_rng((self.seed, step, there)).integers(there, size=images)
        if distributed.is_available() and distributed.is_initialized():
            index = index[distributed.get_rank() :: distributed.get_world_size()]
        dataset = self._dataset(self.splits.train)
        for start in range(0, len(index), self.batch_size):
            yield dataset.__getitems__(index[start : start + self.batch_size].tolist())

    def _order(self) -> Sampler[int]:
        """Return the order of training images, which can be entered anywhere if the sampler knows its length."""
        sampler = self.train_sampler()
        if sampler is None:
            kind = WithReplacement if self.replacement else Shuffled
            return kind(len(self.splits.train.labels), self.seed)
        if isinstance(sampler, EpochOrder) or not isinstance(sampler, Sized):
            return sampler
        return InEpochs(sampler, self.seed)

    def _loader(
        self,
        images: Images,
        sampler: Sampler[int] | None = None,
        augment: tuple[Augmentation, ...] = (),
        streams: BatchStreams | None = None,
        kind: type[Loader] = DataLoader,
        drop_last: bool = False,
    ) -> Loader:
        dataset = self._dataset(images, augment, streams)
        if sampler is None and distributed.is_available() and distributed.is_initialized():
            if len(dataset) < (processes := distributed.get_world_size()):
                raise DataError(
                    f"{processes} processes (trainer.devices) are more than the {len(dataset)} image(s) of a split "
                    "that is measured: give fewer, or a larger split"
                )
            # Lightning's own would give some images to two processes, so that all have as many.
            sampler = UnrepeatedDistributedSampler(dataset, shuffle=False)
        return kind(
            dataset,
            batch_size=self.batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available() and dataset.images.labels.device.type == "cpu",
            collate_fn=whole_batch,
        )

    def _dataset(
        self, images: Images, augment: tuple[Augmentation, ...] = (), streams: BatchStreams | None = None
    ) -> BatchDataset:
        computes_on = None if self.trainer is None else self.trainer.strategy.root_device
        kept = self._placement.place(images, computes_on)
        return BatchDataset(kept, self.normalization.to(kept.labels.device), augment, streams)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
