"""What there was over an epoch: mean, least, most."""

import math
from dataclasses import dataclass
from typing import final


@final
@dataclass
class Spread:
    """Takes numbers one by one and keeps what tells them in short.

    Attributes:
        count: how many.
        total: their sum.
        least: the least of them; ∞ before the first.
        most: the most of them; −∞ before the first.
    """

    count: int = 0
    total: float = 0.0
    least: float = math.inf
    most: float = -math.inf

    def add(self, value: float) -> None:
        """Take a number."""
        self.count += 1
        self.total += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)

    def named(self, kind: str, name: str) -> dict[str, float]:
        """Return ``<kind>_mean/<name>``, ``<kind>_min/<name>`` and ``<kind>_max/<name>``; there is a number."""
        return {
            f"{kind}_mean/{name}": self.total / self.count,
            f"{kind}_min/{name}": self.least,
            f"{kind}_max/{name}": self.most,
        }
