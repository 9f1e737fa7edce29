"""Images in memory, and data sets that hand out whole batches."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple, final

import torch
import torchvision.transforms.v2.functional as tvf
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.batch_streams import BatchStreams

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

    def select(self, selection: slice | Tensor) -> "Images":
        """Return some of the samples, by slice or by indices."""
        if self.rows is None:
            return Images(self.pixels[selection], self.labels[selection])
        return Images(self.pixels, self.labels[selection], self.rows[selection])

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


class Splits(NamedTuple):
    """A data set's three parts."""

    train: Images
    val: Images
    test: Images


@final
class BatchDataset(Dataset[tuple[Tensor, Tensor]]):
    """Hands out a whole batch at a time: one gather, then the transforms on the batch.

    The standard DataLoader asks ``__getitems__`` for a batch; with ``collate_fn=whole_batch`` nothing is left
    to do for it. Samplers, workers and Lightning's sharding work as ever. A loop over single samples, as in
    torchvision's data sets, takes some 50 times longer.

    Args:
        images: the samples, on the device where batches are made.
        transform: ``(B, C, H, W)`` uint8 to float32, on that device.
        augment: ``(B, C, H, W)`` uint8 to uint8, before ``transform``; None leaves images alone.
        streams: where ``augment`` draws from; None for torch's own stream.
    """

    def __init__(
        self,
        images: Images,
        transform: Callable[[Tensor], Tensor],
        augment: Callable[[Tensor], Tensor] | None = None,
        streams: BatchStreams | None = None,
    ) -> None:
        """Keep the samples where they are."""
        self.images = images
        self.transform = transform
        self.augment = augment
        self.streams = streams

    def __len__(self) -> int:
        """Return the number of samples."""
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
        if self.augment is not None:
            own = self.streams.stream(indices, pixels.device) if self.streams else nullcontext()
            with own:
                pixels = self.augment(pixels)
        return self.transform(pixels), self.images.labels.index_select(0, index)


def whole_batch(batch: Any) -> Any:
    """Pass on what is a batch already: the ``collate_fn`` that goes with :class:`BatchDataset`."""
    return batch


def resize(images: Images, size: int) -> Images:
    """Resize to ``size`` × ``size`` pixels, bilinear with antialiasing, once and before training.

    The result is uint8 again, rounded as PIL does.
    """
    chunks = [tvf.resize(chunk, [size, size], antialias=True) for chunk in images.chunks()]
    return Images(torch.cat(chunks), images.labels)
