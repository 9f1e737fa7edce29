"""Variants that drop each unit on its own, by its input alone: their curves over that input are known exactly."""

from abc import ABC, abstractmethod

from torch import Tensor


class Pointwise(ABC):
    """A variant whose unit of input x drops with a probability d(x), whatever the other units are."""

    @abstractmethod
    def drop_curve(self, x: Tensor) -> Tensor:
        """Return d(x) for inputs of any shape."""

    @abstractmethod
    def expectation(self, x: Tensor) -> Tensor:
        """Return the mean over masks of the output in training, E[y | x], for inputs of any shape."""
