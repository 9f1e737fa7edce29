"""Images in memory, whole batches of them, and the device that they are kept on."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import torch
import torchvision.transforms.v2.functional as tvf
from torch import Tensor
from torch.utils.data import Dataset

from dropout_lab.datamodules.errors import DataError
from dropout_lab.datamodules.sampling import BatchStreams

# Images looked at at a time: bounds the copies that are made on the way.
CHUNK = 4096


class Images(NamedTuple):
    """Labelled images as stored."""

    pixels: Tensor
    """``(N, C, H, W)`` uint8, 0 to 255; of all splits, and of any length, where ``rows`` are given."""
    labels: Tensor
    """``(N,)`` int64."""
    rows: Tensor | None = None
    """Where in ``pixels`` each sample is, ``(N,)`` int64: splits share an array that is too large to be copied."""
    file: Path | None = None
    """The ``.npy`` file that all of ``pixels`` are mapped from, if they are."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process map the file too; a tensor that is sent is copied into shared memory, all of it."""
        if self.file is None:
            return Images, tuple(self)
        return _mapped, (self.file, self.labels, self.rows)

    def select(self, selection: slice | Tensor) -> "Images":
        if self.rows is None:
            return Images(self.pixels[selection], self.labels[selection])
        return Images(self.pixels, self.labels[selection], self.rows[selection], self.file)

    @property
    def bytes(self) -> int:
        """What the samples' pixels take."""
        return len(self.labels) * math.prod(self.pixels.shape[1:]) * self.pixels.element_size()

    def to(self, device: torch.device) -> "Images":
        """Return a copy on a device, of these samples alone."""
        shape = (len(self.labels), *self.pixels.shape[1:])
        pixels = torch.empty(shape, dtype=self.pixels.dtype, device=device)
        for rows, chunk in zip(torch.split(pixels, CHUNK), self.chunks(CHUNK), strict=True):
            rows.copy_(chunk)
        return Images(pixels, self.labels.to(device))

    def take(self, index: Tensor) -> Tensor:
        """Return the pixels of some samples, ``(len(index), C, H, W)``."""
        return self.pixels.index_select(0, index if self.rows is None else self.rows[index])

    def chunks(self, size: int = CHUNK) -> Iterator[Tensor]:
        """Return the pixels of all samples, so many at a time."""
        for index in torch.split(torch.arange(len(self.labels)), size):
            yield self.take(index)


def map_pixels(file: Path) -> Tensor:
    """Map the pixels in a ``.npy`` file; what is written into them does not reach the file."""
    return torch.from_numpy(np.lib.format.open_memmap(file, mode="c"))


def _mapped(file: Path, labels: Tensor, rows: Tensor | None) -> Images:
    return Images(map_pixels(file), labels, rows, file)


class Splits(NamedTuple):
    """A data set's three parts."""

    train: Images
    val: Images
    test: Images


@final
class BatchDataset(Dataset[tuple[Tensor, Tensor]]):
    """Hands out a whole batch at a time: one gather, then the transforms on the batch.

    The standard DataLoader asks ``__getitems__`` for a batch, and ``collate_fn=whole_batch`` leaves it as it is.
    Samplers, workers and Lightning's sharding work as ever. A loop over single samples, as in torchvision's data sets,
    takes some 50 times longer.

    All is done on the images' device: each step of ``augment``, uint8 to uint8, drawing from ``streams`` or else from
    torch's own stream, then ``transform``, uint8 to float32.
    """

    def __init__(
        self,
        images: Images,
        transform: Callable[[Tensor], Tensor],
        augment: Sequence[Callable[[Tensor], Tensor]] = (),
        streams: BatchStreams | None = None,
    ) -> None:
        self.images = images
        self.transform = transform
        self.augment = augment
        self.streams = streams

    def __len__(self) -> int:
        return len(self.images.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return one image ``(C, H, W)`` and its label."""
        pixels, labels = self.__getitems__([index])
        return pixels[0], labels[0]

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return a batch: images ``(B, C, H, W)`` float32 and labels ``(B,)``."""
        # Waiting until the indices are there would be waiting for all that the device has yet to do.
        index = torch.as_tensor(indices).to(self.images.labels.device, non_blocking=True)
        pixels = self.images.take(index)
        if self.augment:
            with self.streams.stream(indices, pixels.device) if self.streams else nullcontext():
                for step in self.augment:
                    pixels = step(pixels)
        return self.transform(pixels), self.images.labels.index_select(0, index)


def whole_batch(batch: Any) -> Any:
    """Return what is a batch already: the ``collate_fn`` that goes with :class:`BatchDataset`."""
    return batch


def resize(images: Images, size: int) -> Images:
    """Resize to ``size`` × ``size`` pixels, bilinear with antialiasing, once and before training.

    The result is uint8 again, rounded as PIL does.
    """
    chunks = [tvf.resize(chunk, [size, size], antialias=True) for chunk in images.chunks()]
    return Images(torch.cat(chunks), images.labels)


KNOWN = re.compile(r"auto|cpu|cuda(:\d+)?")

# Of what is free on the GPU: the rest is for the network, which comes later.
MOST_OF_FREE = 0.5


@final
class Placement:
    """Puts splits where they are wanted, each once; the split in the machine's memory stays.

    On the GPU gather, augmentation and normalization run there, and no batch has to be moved. Of several processes
    each keeps the split on its own GPU. ``asked`` is one of

    - None or ``"cpu"``: in the machine's memory;
    - ``"cuda"``: on the GPU that the trainer computes on; ``"cuda:N"``: likewise, which must be that one; without a
      trainer, on the current one or the N-th;
    - ``"auto"``: on the GPU that the trainer computes on, if it does and the split takes no more than half of what is
      free there, else in the machine's memory.

    Other processes cannot gather on the GPU, so ``num_workers`` must be 0 there.
    """

    def __init__(self, asked: str | None, num_workers: int) -> None:
        if asked is not None and not KNOWN.fullmatch(asked):
            raise ValueError(f"device must be null, auto, cpu, cuda or cuda:N, got {asked!r}")
        if asked not in (None, "cpu") and num_workers > 0:
            raise ValueError(
                f"num_workers must be 0 with device={asked!r}, where the training process gathers batches on the GPU, "
                f"got {num_workers}"
            )
        self.asked = asked
        self._placed: list[tuple[Images, Images]] = []

    def place(self, images: Images, computes_on: torch.device | None) -> Images:
        """Return a split, given in the machine's memory, where it is wanted; ``computes_on`` is the trainer's device.

        Raises:
            DataError: there is no such GPU, the trainer does not compute there, or the images do not fit.
        """
        device = device_for(self.asked, computes_on, images.bytes)
        if device.type == "cpu":
            return images
        for known, placed in self._placed:
            if known is images and placed.labels.device == device:
                return placed
        try:
            placed = images.to(device)
        except torch.OutOfMemoryError as error:
            raise DataError(
                f"device={self.asked!r}: {images.bytes / 1e6:,.0f} MB of images do not fit on {device}, where "
                f"{free_bytes(device) / 1e6:,.0f} MB are free. Leave them in the machine's memory with --data.device "
                "null, or take fewer or smaller ones"
            ) from error
        self._placed.append((images, placed))
        return placed


def device_for(asked: str | None, computes_on: torch.device | None, needed: int) -> torch.device:
    """Return where ``needed`` bytes of images are to be kept, as :class:`Placement` says, or raise DataError."""
    if asked in (None, "cpu"):
        return torch.device("cpu")
    if asked == "auto":
        if computes_on is None or computes_on.type != "cuda":
            return torch.device("cpu")
        fits = needed <= MOST_OF_FREE * free_bytes(computes_on)
        return computes_on if fits else torch.device("cpu")
    device = torch.device(asked)
    if computes_on is not None:
        if device.type != computes_on.type or device.index not in (None, computes_on.index):
            raise DataError(
                f"device={asked!r}: the trainer computes on {computes_on}, and each batch would have to be brought "
                "there. Take --data.device auto or null, or another --trainer.accelerator or --trainer.devices"
            )
        return computes_on
    count = torch.cuda.device_count()
    if (device.index or 0) >= count:
        raise DataError(f"device={asked!r}: torch finds {count} GPUs here. Take --data.device null")
    return torch.device("cuda", torch.cuda.current_device()) if device.index is None else device


def free_bytes(device: torch.device) -> int:
    """Return what a GPU can still take, with what this process's torch holds there and does not use."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
