"""Data sets as Lightning data modules of whole-batch loaders."""

from datamodules.base import ImageDataModule
from datamodules.cifar10 import CIFAR10DataModule
from datamodules.digits import DigitsDataModule
from datamodules.errors import DataError, DatasetCorruptError, DatasetNotFoundError, DownloadError
from datamodules.images import Images, Splits
from datamodules.isic import ISICDataModule
from datamodules.mnist import MNISTDataModule

__all__ = [
    "CIFAR10DataModule",
    "DataError",
    "DatasetCorruptError",
    "DatasetNotFoundError",
    "DigitsDataModule",
    "DownloadError",
    "ISICDataModule",
    "ImageDataModule",
    "Images",
    "MNISTDataModule",
    "Splits",
]
