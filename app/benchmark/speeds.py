"""How fast several ways are that take turns, and how many times faster than others."""

from dataclasses import dataclass

from dropout_lab.app.benchmark.timing import Turns


@dataclass(frozen=True)
class Way:
    """A way to do something.

    Attributes:
        name: what does it.
        workers: processes that prepare batches.
    """

    name: str
    workers: int = 0


# The first two are of every comparison.
SCRIPT, PROJECT, LIGHTNING, LIMIT, ON_DEVICE = (
    "plain PyTorch",
    "this project",
    "Lightning's loop alone",
    "tensors in memory",
    "this project, on the GPU",
)


@dataclass(frozen=True)
class Speed:
    """A way, and what was measured of it.

    Attributes:
        part: ``batches`` or ``fit``.
        what: was done.
        way: did it.
        each_turn: batches or steps of a turn.
        turns: how many.
        images_per_s: median over turns.
        epoch_s: seconds of a whole epoch, likewise; None where it is no training.
        faster: how many times as fast as plain PyTorch with DataLoader's defaults: median over turns of the ratio of
            two times of the same turn.
        faster_than_best: likewise, as plain PyTorch with as many workers as are fastest.
        of_limit: time in that of the limit, likewise; None where there is none.
    """

    part: str
    what: str
    way: Way
    each_turn: int
    turns: int
    images_per_s: float
    epoch_s: float | None
    faster: float
    faster_than_best: float
    of_limit: float | None


def fastest(turns: Turns[Way], name: str) -> Way:
    """Return the way of a name, whatever its workers, whose median time is least."""
    return min((way for way in turns.times if way.name == name), key=turns.median)


def speeds(
    part: str, what: str, turns: Turns[Way], images: int, each_turn: dict[Way, int], of_epochs: bool
) -> list[Speed]:
    """Compare all ways.

    Args:
        part: of the report.
        what: was done.
        turns: times of the same work by each way.
        images: that work is for.
        each_turn: batches or steps of a turn that were done for it, by way.
        of_epochs: whether the work is an epoch of training.
    """
    default, best = Way(SCRIPT), fastest(turns, SCRIPT)
    limits = [way for way in turns.times if way.name == LIMIT]
    return [
        Speed(
            part=part,
            what=what,
            way=way,
            each_turn=each_turn[way],
            turns=len(turns.times[way]),
            images_per_s=images / turns.median(way),
            epoch_s=turns.median(way) if of_epochs else None,
            faster=turns.ratio(default, way),
            faster_than_best=turns.ratio(best, way),
            of_limit=turns.ratio(way, limits[0]) if limits else None,
        )
        for way in turns.times
    ]
