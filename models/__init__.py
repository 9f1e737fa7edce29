"""Dropout variants, networks, and the classifier that trains them."""

from models.classifier import ImageClassifier

__all__ = ["ImageClassifier"]
