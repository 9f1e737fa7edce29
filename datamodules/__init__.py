"""Data sets as Lightning data modules of whole-batch loaders."""

from dropout_lab.datamodules.base import ImageDataModule
from dropout_lab.datamodules.batches import Images, Splits
from dropout_lab.datamodules.cifar10 import CIFAR10DataModule
from dropout_lab.datamodules.digits import DigitsDataModule
from dropout_lab.datamodules.errors import DataError, DatasetCorruptError, DatasetNotFoundError, DownloadError
from dropout_lab.datamodules.image_folder import ImageFolderDataModule
from dropout_lab.datamodules.isic import ISICDataModule
from dropout_lab.datamodules.mnist import MNISTDataModule
from dropout_lab.datamodules.tiny_imagenet import TinyImageNetDataModule

__all__ = [
    "CIFAR10DataModule", "DataError", "DatasetCorruptError", "DatasetNotFoundError", "DigitsDataModule",
    "DownloadError", "ISICDataModule", "ImageDataModule", "ImageFolderDataModule", "Images", "MNISTDataModule",
    "Splits", "TinyImageNetDataModule",
]  # fmt: skip
