"""Which split a folder's name means: ``train``, ``TRAIN``, ``Training``, ``training_set``, ``seg_train``, ``valid``…"""

import re
from typing import NamedTuple

WORDS = {
    "train": ("train", "trains", "training", "trainings", "trainval"),
    "val": ("val", "vals", "valid", "valids", "validation", "validations", "dev", "devel", "eval", "evals",
            "evaluation", "evaluations"),
    "test": ("test", "tests", "testing", "testings", "holdout"),
}  # fmt: skip
"""Words for each split, in small letters. From ``trainval`` validation images are yet to be drawn."""
FILLERS = ("set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "photo", "photos",
           "picture", "pictures", "split", "splits", "folder", "folders", "subset", "part", "v")  # fmt: skip
"""Words that, like numbers, may stand beside a word for a split and change nothing of what it means."""

_FILLER = f"(?:{'|'.join(FILLERS)})?"
_SPLIT = "|".join(f"(?P<{split}>{'|'.join(words)})" for split, words in WORDS.items())
_WORD = re.compile(f"{_FILLER}(?:{_SPLIT}){_FILLER}")


class SplitName(NamedTuple):
    """A name with a word for a split in it."""

    split: str
    """``train``, ``val`` or ``test``."""
    rest: str
    """What else the name says, without fillers and numbers: ``seg`` of ``seg_train``, nothing of ``TrainingSet2``."""


def split_name(name: str) -> SplitName | None:
    """Read a name; None where it has no word for a split, or words for several other than ``train`` and ``val``."""
    # Words begin at a capital after a small letter too.
    separated = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    splits, rest = set(), []
    for word in re.findall(r"[^\W\d_]+", separated.casefold()):
        if match := _WORD.fullmatch(word):
            splits.add(str(match.lastgroup))
        elif word not in FILLERS:
            rest.append(word)
    if splits == {"train", "val"}:
        splits = {"train"}
    return SplitName(splits.pop(), " ".join(rest)) if len(splits) == 1 else None
