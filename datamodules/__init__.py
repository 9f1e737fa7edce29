"""Data sets as Lightning data modules of whole-batch loaders."""

from datamodules.base import ImageDataModule
from datamodules.cifar10 import CIFAR10DataModule
from datamodules.digits import DigitsDataModule
from datamodules.errors import DataError, DatasetCorruptError, DatasetNotFoundError, DownloadError
from datamodules.image_folder import ImageFolderDataModule
from datamodules.images import Images, Splits
from datamodules.isic import ISICDataModule
from datamodules.mnist import MNISTDataModule
from datamodules.tiny_imagenet import TinyImageNetDataModule

__all__ = [
    "CIFAR10DataModule",
    "DataError",
    "DatasetCorruptError",
    "DatasetNotFoundError",
    "DigitsDataModule",
    "DownloadError",
    "ISICDataModule",
    "ImageDataModule",
    "ImageFolderDataModule",
    "Images",
    "MNISTDataModule",
    "Splits",
    "TinyImageNetDataModule",
]
