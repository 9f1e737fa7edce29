"""Dropout variants, networks, and the classifier that trains them."""

from dropout_lab.models.classifier import ImageClassifier

__all__ = ["ImageClassifier"]
