"""The error of a mean over seeds whose runs share test images: other images would give another mean, too."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dropout_lab.app.statistics.estimate import Estimate, Scale, estimate, t_factor


class Measured(NamedTuple):
    """What one seed's run, or pair of runs, has measured of each of its test images."""

    images: NDArray[np.uint32]
    """``(N,)``, a number by image, which it has in every seed's split."""
    values: NDArray[np.float64]
    """``(N,)``: 1 or 0 for right or wrong; of a pair of runs their difference."""


def estimate_over_images(
    values: Mapping[int, float], measured: Mapping[int, Measured], scale: Scale | None = None
) -> Estimate:
    r"""Return a mean over seeds with the interval that holds for other seeds *and* other test images.

    Of n seeds with the means :math:`m_i` of :math:`N_i` test images each, and variance :math:`s^2` between them,

    .. math::
        \operatorname{Var}(\bar m) = \frac{s^2}{n} + C, \qquad
        C = \frac{1}{n(n-1)} \sum_{i \ne i'} \sum_j \frac{(v_{ij} - m_i)(v_{i'j} - m_{i'})}{N_i N_{i'}},

    where C, at least 0, is the covariance of two seeds' means by the images j that both have tested. With one test set
    for all seeds C is :math:`\sigma^2/N` of N images, which is what a paired bootstrap over images adds; with a split
    by seed it is smaller by as much as :math:`s^2` is larger. The interval is Student's, with the degrees of freedom of
    Satterthwaite (1946): the seeds' part has n − 1, that of many images as good as infinitely many.

    Departure: of training images that seeds share nothing is known here, so that the interval is of other test images
    and other draws from the same training images.

    Args:
        values: the metric by seed.
        measured: by seed, of every seed in ``values``.
        scale: ends of what the mean can be.
    """
    found = estimate(list(values.values()), scale)
    if found.error is None or found.is_constant or not np.isfinite(found.mean):
        return found
    of_seeds, of_images = found.error**2, max(0.0, _covariance([measured[seed] for seed in values]))
    freedom = (len(values) - 1) * ((of_seeds + of_images) / of_seeds) ** 2
    half = t_factor(freedom) * float(np.sqrt(of_seeds + of_images))
    return replace(found, half=half, freedom=freedom)


def _covariance(seeds: list[Measured]) -> float:
    """Return the mean covariance of two seeds' means by the images that they share."""
    _, image = np.unique(np.concatenate([each.images for each in seeds]), return_inverse=True)
    parts = np.concatenate([(each.values - each.values.mean()) / len(each.values) for each in seeds])
    products = np.bincount(image, parts) @ np.bincount(image, parts) - parts @ parts
    return float(products) / (len(seeds) * (len(seeds) - 1))
