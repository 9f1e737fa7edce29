"""Data on disk that are missing, truncated, of another kind, or too few."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.app.bad_input.row import Row, each, file
from tests.data import idx, write_cifar10, write_mnist
from tests.data.folders import write_classes
from tests.data.isic import write_isic
from tests.data.tiny_imagenet import write_tiny_imagenet

ROOT = Path("data")
FIT = "fit --model.network FullyConnected --model.network.hidden [4] --trainer.accelerator cpu --trainer.max_epochs 1"
MNIST = f"{FIT} --data MNISTDataModule --data.val_size 10"
CIFAR = f"{FIT} --data CIFAR10DataModule --data.val_size 10"
TINY = f"{FIT} --data TinyImageNetDataModule --data.image_size 8"
ISIC = f"{FIT} --data ISICDataModule --data.image_size 8"
FOLDER = f"{FIT} --data ImageFolderDataModule --data.root photos --data.image_size 8"
RAW = "data/MNIST/raw"
IMAGES, LABELS = f"{RAW}/train-images-idx3-ubyte", f"{RAW}/train-labels-idx1-ubyte"
TREE = "data/tiny-imagenet-200"
CSV = "data/isic2020/train.csv"
HEAD = "image_name,patient_id,target\n"


def _mnist(says: str, *changes: Callable[[], object], command: str = MNIST) -> Row:
    return Row(command, (says,), each(lambda: write_mnist(ROOT), *changes))


def _tiny(says: str, *changes: Callable[[], object], command: str = TINY) -> Row:
    return Row(command, (says,), each(lambda: write_tiny_imagenet(ROOT), *changes))


def _isic(says: str, content: str | bytes, command: str = ISIC) -> Row:
    return Row(command, (says,), each(lambda: write_isic(ROOT), file(CSV, content)))


def _photos(says: str, counts: dict[str, int], *changes: Callable[[], object], command: str = FOLDER) -> Row:
    return Row(command, (says,), each(lambda: write_classes(Path("photos"), counts), *changes))


def _without(path: str) -> Callable[[], object]:
    return lambda: Path(path).unlink()


def _packed(content: bytes) -> Callable[[], object]:
    return each(_without(IMAGES), file(f"{IMAGES}.gz", content))


def _array(*shape: int, value: int = 0) -> bytes:
    return idx(np.full(shape, value))


ROWS = {
    "MNIST without a file": _mnist(
        "MNIST not found: no MNIST/raw/train-labels.* --data.root FOLDER, or .*--data.download true",
        _without(LABELS),
    ),
    "packed and truncated": _mnist(
        f"{IMAGES}.gz: its MD5 is .*the official one .*Delete the file and fetch",
        _packed(gzip.compress(_array(60, 28, 28))[:99]),
    ),
    "truncated": _mnist(
        f"{IMAGES}: .* bytes where the header says .*Delete the file", file(IMAGES, _array(60, 28, 28)[:-1])
    ),
    "empty file": _mnist(f"{IMAGES}: not an IDX file of 3 .*Delete the file", file(IMAGES, b"")),
    "of four dimensions": _mnist(
        f"{IMAGES}: not an IDX file of 3 dimension", file(IMAGES, _array(60, 1, 28, 28))
    ),
    "of floats": _mnist(f"{IMAGES}: not an IDX file", file(IMAGES, b"\0\0\x0d\x03" + _array(60, 28, 28)[4:])),
    "other pixels": _mnist(
        rf"{IMAGES}: images of .14, 14. pixels, not .28, 28.", file(IMAGES, _array(60, 14, 14))
    ),
    "labels too few": _mnist(f"{LABELS}: 59 labels for 60 images", file(LABELS, _array(59))),
    "label out of range": _mnist(
        f"{LABELS}: a label of 10, where 0 to 9 are allowed", file(LABELS, _array(60, value=10))
    ),
    "no image": _mnist(
        f"{IMAGES}: holds no images.*Delete the file",
        file(IMAGES, _array(0, 28, 28)),
        file(LABELS, _array(0)),
    ),
    "no test image": _mnist(
        f"{RAW}/t10k-images-idx3-ubyte: holds no images.*Delete the file",
        file(f"{RAW}/t10k-images-idx3-ubyte", _array(0, 28, 28)),
        file(f"{RAW}/t10k-labels-idx1-ubyte", _array(0)),
    ),
    "val_size of all": _mnist(
        "val_size must leave images on both sides: 60 of 60",
        command=MNIST.replace("val_size 10", "val_size 60"),
    ),
    "a folder for a file": _mnist(
        "MNIST not found: no MNIST/raw/train-images", _without(IMAGES), lambda: Path(IMAGES).mkdir()
    ),
    "a file for the root": Row(
        f"{FIT} --data MNISTDataModule --data.root here",
        ("MNIST not found: .*data.root='here'.*--data.root FOLDER",),
        file("here", ""),
    ),
    "CIFAR-10 without a batch": Row(
        CIFAR,
        ("CIFAR-10 not found: no cifar-10-batches-py/data_batch_1 .*--data.root FOLDER, or",),
        each(lambda: write_cifar10(ROOT), _without("data/cifar-10-batches-py/data_batch_1")),
    ),
    "CIFAR-10 of another's hand": Row(
        CIFAR,
        ("data_batch_1: its MD5 is .*Delete the file and fetch it again",),
        lambda: write_cifar10(ROOT),
    ),
    "no classes": _tiny(
        "wnids.txt:1: '' is no WordNet id like n01443537.*Mend it, or delete", file(f"{TREE}/wnids.txt", "")
    ),
    "a class twice": _tiny(
        "wnids.txt:2: n01000000 is there already, in line 1", file(f"{TREE}/wnids.txt", "n01000000\n" * 2)
    ),
    "no words": _tiny("no tiny-imagenet-200/words.txt .*delete .* and fetch", _without(f"{TREE}/words.txt")),
    "words of bytes": _tiny(
        "words.txt: no text in UTF-8.*Mend it, or delete", file(f"{TREE}/words.txt", b"n\xff\xfe")
    ),
    "annotations cut": _tiny(
        "val_annotations.txt:1: .* is not a file, a WordNet id and four numbers",
        file(f"{TREE}/val/val_annotations.txt", "val_0.JPEG"),
    ),
    "an annotated image that is gone": _tiny(
        "val_annotations.txt:1: there is no image 'val_0.JPEG'", _without(f"{TREE}/val/images/val_0.JPEG")
    ),
    "no columns": _isic(f"{CSV}, line 1: no column image_name.*Name another file", "a,b\n1,2\n"),
    "no rows": _isic(f"{CSV}: has no rows.*Mend it, or fetch", HEAD),
    "no text": _isic(f"{CSV}, line 1: is not UTF-16.*Save it as CSV in UTF-8", b"\xff\xfe\x00"),
    "zero bytes": _isic(f"{CSV}: none of its 1 images is in data/isic2020/train. Name", f"{HEAD}a\0b,p,0\n"),
    "an image twice": _isic(f"{CSV}, line 3: image_name 'a' is on line 2 already", f"{HEAD}a,p,0\na,q,1\n"),
    "a patient missing": _isic(f"{CSV}, line 2: patient_id is empty", f"{HEAD}a,,0\n"),
    "a row too short": _isic(f"{CSV}, line 2: .*Mend it", f"{HEAD}a\n"),
    "labels of other images": _isic(
        f"{CSV}: none of its 2 images is in data/isic2020/train. Name the folder", f"{HEAD}a,p,0\nb,q,1\n"
    ),
    "one class": _photos(
        r"photos holds 1 class folder.s. .cat.: at least two classes are needed", {"cat": 5}
    ),
    "a class of one image": _photos(
        "photos/cat holds 1 image.s.; each class needs at least 3.*add images", {"cat": 1, "dog": 9}
    ),
    "a class without images": _photos(
        "photos/dog holds no images .*: fill the folder or remove it",
        {"cat": 5},
        lambda: Path("photos/dog").mkdir(),
    ),
    "images of nothing": _photos(
        "1 of 19 images of ImageFolderDataModule cannot be decoded: photos/cat/new.png .*--data.unreadable skip",
        {"cat": 9, "dog": 9},
        file("photos/cat/new.png", b""),
    ),
    "images that were cut": _photos(
        "1 of 19 images .*photos/cat/new.jpg .*--data.unreadable skip",
        {"cat": 9, "dog": 9},
        file("photos/cat/new.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF"),
    ),
    "training images twice": Row(
        FOLDER,
        ("photos holds training images twice: TRAIN, Training. Keep one, or join them",),
        each(
            *(
                lambda name=name: write_classes(Path("photos", name), {"cat": 5, "dog": 5})
                for name in ("TRAIN", "Training")
            )
        ),
    ),
    "a class in two ways": _photos(
        r"photos holds two folders for the class .*: 'cafe.u0301' and 'caf.xe9'.*Join them into one",
        {"cafe\u0301": 5, "caf\u00e9": 5},
    ),
    "semicolons and a word": _isic(
        f"{CSV}, line 2: target must be 0 .* or 1 .*, got 'yes'", HEAD.replace(",", ";") + "a;p;yes\n"
    ),
    "a link to nothing": _photos(
        "1 of 19 images .*photos/cat/new.png .no such file",
        {"cat": 9, "dog": 9},
        lambda: Path("photos/cat/new.png").symlink_to("gone"),
    ),
    "a folder of files": Row(
        FOLDER, ("photos holds no folders: it should hold one for each class",), file("photos/a.png", b"x")
    ),
    "test classes of their own": Row(
        FOLDER,
        ("photos/test holds the class 'bird', which the training images do not have.*rename or remove",),
        each(
            lambda: write_classes(Path("photos/train"), {"cat": 5, "dog": 5}),
            lambda: write_classes(Path("photos/test"), {"bird": 5}, 10),
        ),
    ),
    "val_size of nothing": _photos(
        "val_size must leave images on both sides: 0.01 of 8 images is 0",
        {"cat": 5, "dog": 5},
        command=f"{FOLDER} --data.val_size 0.01",
    ),
    "a cache at a file": _photos(
        "decoded images cannot be kept in the folder here: .*--data.cache FOLDER",
        {"cat": 9, "dog": 9},
        file("here", ""),
        command=f"{FOLDER} --data.cache here",
    ),
}
