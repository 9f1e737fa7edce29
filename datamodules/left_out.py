"""What lies among images and is left out: clutter of systems and programs, and files of other formats, counted."""

import re
from collections import Counter
from fnmatch import fnmatchcase, translate

from dropout_lab.datamodules.formats import NOT_READ
from dropout_lab.ground import printable

CLUTTER = {
    "macOS": ("._*", ".DS_Store", "__MACOSX", "Icon\r", "Network Trash Folder", "Temporary Items"),
    "Windows": ("Thumbs.db", "Thumbs.db:*", "ehthumbs*.db", "desktop.ini", "$RECYCLE.BIN", "RECYCLER",
                "System Volume Information", "FOUND.[0-9][0-9][0-9]", "*:Zone.Identifier", "~$*"),
    "Linux": ("lost+found",),
    "Synology": ("@eaDir", "#recycle", "#snapshot", "@tmp", "@sharebin", "@SynoResource", "*@SynoResource",
                 "*@SynoEAStream", "SYNOPHOTO_*", "SYNOFILE_*"),
    "QNAP": (".@__thumb", "@__thumb", "@Recycle", "@Recently-Snapshot"),
    "NetApp": ("~snapshot",),
    "photo managers": ("thumbnails", "_thumbnails", "_thumbs", "Picasa.ini", "[[]Originals]", "ZbThumbnail.info",
                       "pspbrwse.jbf", "CaptureOne", "Lightroom Settings", "*.lrdata", "*.lrcat", "*.lrcat-data",
                       "*.cocatalog", "*.cosessiondb", "*.photoslibrary", "*.aplibrary", "*.photolibrary"),
    "Python": ("__pycache__",),
    "synchronization": ("~syncthing~*", "*.sync-conflict-*", "* conflicted copy *"),
    "hidden, as .git, .ipynb_checkpoints, .thumbnails, .picasaoriginals, .Trash-1000": (".*",),
}  # fmt: skip
"""Names of files and folders by who leaves them, as shell patterns, in whatever case: never images, never classes."""
BESIDE = "images beside the folders"
"""How images are counted that lie in no class's folder."""
MASKS = "masks beside their images"
"""How drawings of what is in an image are counted, such as ``7_mask.png`` beside ``7.png``: they tell the class."""
_MASK = re.compile(
    r"(?P<image>.+)[ _-](?:mask|masks|segmentation|seg|annotation|gt)(?:[ _-]?\d+)?", re.IGNORECASE
)

_PATTERNS = [pattern for patterns in CLUTTER.values() for pattern in patterns]
_ANY = re.compile("|".join(translate(pattern.casefold()) for pattern in _PATTERNS))


def clutter(name: str) -> str | None:
    """Return the pattern that a name of clutter matches, the first of the list; None for any other name."""
    small = name.casefold()
    if _ANY.match(small) is None:
        return None
    found = next(pattern for pattern in _PATTERNS if fnmatchcase(small, pattern.casefold()))
    return found.replace("[[]", "[")


def image_of_mask(stem: str) -> str | None:
    """Return the name of the image that a file, by its own name without ending, is a mask of."""
    match = _MASK.fullmatch(stem)
    return None if match is None else match["image"]


def perhaps_images(left_out: Counter[str]) -> Counter[str]:
    """Return what of it may be images that somebody counts on."""
    return Counter(
        {kind: count for kind, count in left_out.items() if kind in (BESIDE, MASKS) or kind in NOT_READ}
    )


def counted(left_out: Counter[str]) -> str:
    """Return numbers and kinds, the most frequent first: ``6 .heic, 2 Thumbs.db``."""
    return ", ".join(f"{count:,} {printable(kind)}" for kind, count in left_out.most_common())
