"""The interval over seeds and test images: against a bootstrap, and its coverage in simulated studies."""

import numpy as np
import pytest

from dropout_lab.app.statistics.clusters import Measured, estimate_over_images
from dropout_lab.app.statistics.estimate import estimate

STUDIES, SEEDS, IMAGES = 2000, 5, 100


def measured(values: np.ndarray, images: np.ndarray | None = None) -> dict[int, Measured]:
    """Return values (seeds, images) as each seed has measured them."""
    places = np.broadcast_to(np.arange(values.shape[1]), values.shape) if images is None else images
    return {
        seed: Measured(place.astype(np.uint32), each)
        for seed, (place, each) in enumerate(zip(places, values, strict=True))
    }


def over(values: np.ndarray, images: np.ndarray | None = None) -> tuple[float, float]:
    means = dict(enumerate(values.mean(axis=1).tolist()))
    interval = estimate_over_images(means, measured(values, images)).interval
    assert interval is not None
    return interval


def test_images_add_what_a_paired_bootstrap_over_them_does() -> None:
    random = np.random.default_rng(0)
    of_images, of_seeds = random.normal(0, 0.4, IMAGES), random.normal(0, 0.001, (40, 1))
    values = of_images + of_seeds + random.normal(0, 0.05, (40, IMAGES))
    means = dict(enumerate(values.mean(axis=1).tolist()))
    found, alone = estimate_over_images(means, measured(values)), estimate(list(means.values()))
    assert found.error is not None
    assert alone.error is not None
    by_image = values.mean(axis=0)
    resampled = by_image[random.integers(IMAGES, size=(4000, IMAGES))].mean(axis=1)
    assert np.sqrt(found.error**2 - alone.error**2) == pytest.approx(resampled.std(), rel=0.05)
    assert found.mean == pytest.approx(alone.mean)


def test_by_hand() -> None:
    # Two seeds, two images: means 1 and 3, residuals ∓1 and ∓1: C = 2 · (1 + 1) / (2 · 2) / 2 = 0.5; s² / n = 1.
    values = np.array([[0.0, 2.0], [2.0, 4.0]])
    found = estimate_over_images({0: 1.0, 1: 3.0}, measured(values))
    assert found.error == pytest.approx(np.sqrt(1.5))
    assert found.freedom == pytest.approx(1.5**2)


def test_seeds_without_an_image_in_common_stand_alone() -> None:
    values = np.random.default_rng(0).normal(0, 1, (3, 4))
    means = dict(enumerate(values.mean(axis=1).tolist()))
    found = estimate_over_images(means, measured(values, np.arange(12).reshape(3, 4)))
    assert found.half == pytest.approx(estimate(list(means.values())).half)


def test_images_that_speak_against_each_other_take_nothing_away() -> None:
    values = np.array([[0.0, 2.0], [4.0, 2.0]])
    found = estimate_over_images({0: 1.0, 1: 3.0}, measured(values))
    assert found.half == pytest.approx(estimate([1.0, 3.0]).half)


@pytest.mark.parametrize("of_seeds", [0.02, 0.1])
def test_coverage_with_one_test_set(of_seeds: float) -> None:
    random, inside = np.random.default_rng(1), 0
    for _ in range(STUDIES):
        images, seeds = random.normal(0, 0.5, IMAGES), random.normal(0, of_seeds, (SEEDS, 1))
        low, high = over(images + seeds + random.normal(0, 0.3, (SEEDS, IMAGES)))
        inside += low <= 0 <= high
    assert 0.93 <= inside / STUDIES <= 0.97


@pytest.mark.parametrize("of_seeds", [0.02, 0.1])
def test_coverage_with_a_split_by_seed(of_seeds: float) -> None:
    """A fifth of the images is the test split, drawn by each seed; what is true is of all images there could be."""
    random, inside = np.random.default_rng(2), 0
    for _ in range(STUDIES):
        pool, seeds = random.normal(0, 0.5, 5 * IMAGES), random.normal(0, of_seeds, (SEEDS, 1))
        drawn = np.stack([random.permutation(5 * IMAGES)[:IMAGES] for _ in range(SEEDS)])
        low, high = over(pool[drawn] + seeds + random.normal(0, 0.3, (SEEDS, IMAGES)), drawn)
        inside += low <= 0 <= high
    assert 0.93 <= inside / STUDIES <= 0.97


def test_the_spread_of_seeds_alone_covers_too_little() -> None:
    """What the interval would be without the images: the reason for it."""
    random, inside = np.random.default_rng(3), 0
    for _ in range(500):
        values = random.normal(0, 0.5, IMAGES) + random.normal(0, 0.02, (SEEDS, 1))
        values = values + random.normal(0, 0.3, (SEEDS, IMAGES))
        interval = estimate(values.mean(axis=1).tolist()).interval
        assert interval is not None
        inside += interval[0] <= 0 <= interval[1]
    assert inside / 500 < 0.9
