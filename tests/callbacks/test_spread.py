"""Numbers told in short."""

from dropout_lab.callbacks.rho_scheduler import Spread


def test_mean_least_and_most() -> None:
    spread = Spread()
    for value in (3.0, 0.0, 6.0):
        spread.add(value)
    assert spread.named("rho", "head") == {"rho_mean/head": 3.0, "rho_min/head": 0.0, "rho_max/head": 6.0}
