"""Where the images of a fit are kept: in the machine's memory, or on the GPU that trains on them."""

import re
from typing import final

import torch

from datamodules.errors import DeviceError
from datamodules.images import Images

KNOWN = re.compile(r"auto|cpu|cuda(:\d+)?")

# Of what is free on the GPU: the rest is for the network, which comes later.
MOST_OF_FREE = 0.5


@final
class Placement:
    """Puts splits where they are wanted, each once.

    On the GPU gather, augmentation and normalization run there, and no batch has to be brought. Of several processes
    each keeps the split on the GPU that it computes on itself. The split in the machine's memory stays.

    Args:
        asked: None or ``"cpu"``: in the machine's memory. ``"cuda"``: on the GPU that the trainer computes on;
            ``"cuda:N"``: likewise, which must be that one; without a trainer, on the current one or the N-th.
            ``"auto"``: on the GPU that the trainer computes on, if it does and the split takes no more than half of
            what is free there, else in the machine's memory.
        num_workers: of the loader: other processes cannot gather on the GPU.

    Raises:
        ValueError: another device, or workers beside one.
    """

    def __init__(self, asked: str | None, num_workers: int) -> None:
        """Check the arguments; nothing is put anywhere yet."""
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
        """Return a split where it is wanted.

        Args:
            images: in the machine's memory.
            computes_on: the trainer's device, of this process; None without a trainer.

        Raises:
            DeviceError: there is no such GPU, the trainer does not compute there, or the images do not fit.
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
            raise DeviceError(
                f"device={self.asked!r}: {images.bytes / 1e6:,.0f} MB of images do not fit on {device}, where "
                f"{free_bytes(device) / 1e6:,.0f} MB are free. Leave them in the machine's memory with --data.device "
                "null, or take fewer or smaller ones"
            ) from error
        self._placed.append((images, placed))
        return placed


def device_for(asked: str | None, computes_on: torch.device | None, needed: int) -> torch.device:
    """Return where images are to be kept, as :class:`Placement` says.

    Args:
        asked: one of its names.
        computes_on: the trainer's device.
        needed: bytes of the images.

    Raises:
        DeviceError: there is no such GPU, or the trainer does not compute there.
    """
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
            raise DeviceError(
                f"device={asked!r}: the trainer computes on {computes_on}, and each batch would have to be brought "
                "there. Take --data.device auto or null, or another --trainer.accelerator or --trainer.devices"
            )
        return computes_on
    count = torch.cuda.device_count()
    if (device.index or 0) >= count:
        raise DeviceError(f"device={asked!r}: torch finds {count} GPUs here. Take --data.device null")
    return torch.device("cuda", torch.cuda.current_device()) if device.index is None else device


def free_bytes(device: torch.device) -> int:
    """Return what a GPU can still take, with what this process's torch holds there and does not use."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
