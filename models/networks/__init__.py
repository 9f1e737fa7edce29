"""Networks with swappable dropout places; none knows a variant by name."""

from models.networks.alan import AlanCNN
from models.networks.backbone import Backbone
from models.networks.base import Head, ImageShape, Network, dropout_places
from models.networks.fully_connected import FullyConnected
from models.networks.gavier import GavierCIFAR, GavierMNIST
from models.networks.maldrop import MalDropCNN
from models.networks.vgg16 import VGG16

__all__ = [
    "VGG16",
    "AlanCNN",
    "Backbone",
    "FullyConnected",
    "GavierCIFAR",
    "GavierMNIST",
    "Head",
    "ImageShape",
    "MalDropCNN",
    "Network",
    "dropout_places",
]
