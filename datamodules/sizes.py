"""Sizes that users give: numbers of images, or shares of them."""

from datamodules.images import Images


def check_at_least(name: str, value: int, least: int) -> None:
    """Raise ValueError if an argument is too small."""
    if value < least:
        raise ValueError(f"{name} must be {least} or more, got {value}")


def check_at_most(name: str, value: int, most: int) -> None:
    """Raise ValueError if an argument is too large."""
    if value > most:
        raise ValueError(f"{name} must be {most} or less, got {value}")


def check_size(name: str, size: int | float) -> None:
    """Raise ValueError unless a size is a number of images or a share of them."""
    if not size > 0 or (isinstance(size, float) and size >= 1):
        raise ValueError(f"{name} must be a number of images (1 or more) or a share in (0, 1), got {size}")


def count_of(name: str, size: int | float, available: int) -> int:
    """Turn a size into a number of images, leaving at least one image out of ``available``.

    Raises:
        ValueError: nothing would be left on one of the two sides.
    """
    count = round(size * available) if isinstance(size, float) else size
    if not 0 < count < available:
        raise ValueError(f"{name} must leave images on both sides: {size} of {available} images is {count}")
    return count


def hold_out_last(images: Images, val_size: int | float) -> tuple[Images, Images]:
    """Split off the last images as validation: the same ones whatever the seed, as the sources do."""
    count = count_of("val_size", val_size, len(images.labels))
    return images.select(slice(-count)), images.select(slice(-count, None))
