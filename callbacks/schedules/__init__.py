"""Schedules of ρ, the number of units to drop, or of p, the probability: plain mathematics.

Each says what holds for a batch as a function of the :class:`Moment` alone, so that every process finds the same
value, and a resumed run goes on where it was. ``RhoScheduler`` rounds where a number of units is set.

L is the layer's number of units, and 1 where a probability is set. "The paper" is J. Maris, I. Pashayev, *Improving
Generalization of Feed-Forward Classifiers with Malicious Dropout*, §4.4.
"""

from dropout_lab.callbacks.schedules.base import Moment, Schedule
from dropout_lab.callbacks.schedules.over_training import Cosine, Linear, Logistic
from dropout_lab.callbacks.schedules.stepwise import (
    Alternating,
    Constant,
    ForwardAnnealing,
    Periodic,
    Randomized,
    ReverseAnnealing,
)

__all__ = [
    "Alternating",
    "Constant",
    "Cosine",
    "ForwardAnnealing",
    "Linear",
    "Logistic",
    "Moment",
    "Periodic",
    "Randomized",
    "ReverseAnnealing",
    "Schedule",
]
