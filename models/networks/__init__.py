"""Networks with swappable dropout places; none knows a variant by name."""

from dropout_lab.models.networks.alan import AlanCNN
from dropout_lab.models.networks.backbone import Backbone
from dropout_lab.models.networks.base import Head, ImageShape, Network, dropout_places
from dropout_lab.models.networks.fully_connected import FullyConnected
from dropout_lab.models.networks.gavier import GavierCIFAR, GavierMNIST
from dropout_lab.models.networks.maldrop import MalDropCNN
from dropout_lab.models.networks.vgg16 import VGG16

__all__ = [
    "VGG16", "AlanCNN", "Backbone", "FullyConnected", "GavierCIFAR", "GavierMNIST", "Head", "ImageShape",
    "MalDropCNN", "Network", "dropout_places",
]  # fmt: skip
