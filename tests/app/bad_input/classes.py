"""Classes that cannot be had, or not in the place where they are named."""

from tests.app.bad_input.row import FIT, Row, file

VARIANT = f"{FIT} --model.network.dropout mine.A"
OWN = "class A:\n    pass\n"
ABSTRACT = """\
from abc import abstractmethod
from dropout_lab.models.dropout import Dropout

class A(Dropout):
    @abstractmethod
    def more(self): ...
"""
REFUSES = """\
from torch import nn

class A(nn.Module):
    def __init__(self):
        raise ValueError("a must be b, got c")
"""


def _own(content: str, *says: str, command: str = VARIANT) -> Row:
    return Row(command, says, file("mine.py", content))


ROWS = {
    "a syntax error": _own("def f(:\n", "mine.py, line 1: invalid syntax; mend the module"),
    "no such module": Row(VARIANT, ("model.network.dropout: .*No module named 'mine'", "mine[.]A")),
    "imports what is not there": _own(
        "import not_there\n", "model.network.dropout: .*No module named 'not_there'", "mine[.]A"
    ),
    "no such attribute": _own("B = 3\n", "model.network.dropout: .*module 'mine' has no attribute 'A'"),
    "no class": _own("A = 3\n", "model.network.dropout: builtins.int may not be named in settings"),
    "no module of torch": _own(OWN, "model.network.dropout: Expected 'mine.A' to be a subclass of .*Module"),
    "abstract": _own(
        ABSTRACT, "a dropout place needs a class that can be made: .*abstract class A .*; name a subclass"
    ),
    "the base class": Row(
        f"{FIT} --model.network.dropout dropout_lab.models.dropout.Dropout",
        ("abstract class Dropout .*; name a subclass",),
    ),
    "refuses": _own(REFUSES, "a must be b, got c"),
    "no network": _own(
        OWN,
        "model.network: .*mine.A does not correspond to a subclass of Network",
        command="fit --data DigitsDataModule --model.network mine.A",
    ),
    "no data module": _own(
        OWN,
        "data: .*does not correspond to a subclass of ImageDataModule",
        command="fit --data mine.A --model.network GavierMNIST",
    ),
    "no callback": _own(
        OWN,
        "trainer.callbacks: .*does not correspond to a subclass of Callback",
        command=f"{FIT} --trainer.callbacks mine.A",
    ),
    "an abstract schedule": Row(
        f"{FIT} --trainer.callbacks RhoScheduler --trainer.callbacks.schedule Schedule",
        ("trainer.callbacks.schedule: Expected an instantiatable class, but Schedule is abstract",),
    ),
    "an abstract data module": Row(
        "fit --data ImageDataModule --model.network GavierMNIST",
        ("data: Expected an instantiatable class, but .*abstract",),
    ),
}
