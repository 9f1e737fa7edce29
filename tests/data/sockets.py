"""Which addresses a process and those that it has started listen on, as Linux tells."""

import os
import re
from pathlib import Path

PROC = Path("/proc")
LISTENS = "0A"
# In hexadecimal, each 32 bits the other way round: 127.0.0.1, ::1 and ::ffff:127.0.0.1.
LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}


def family(process: int) -> set[int]:
    """Return a process and all that it has started, and so on."""
    parents = {}
    for file in PROC.glob("[0-9]*/stat"):
        try:
            parents[int(file.parent.name)] = int(file.read_text().rpartition(")")[2].split()[1])
        except OSError:
            # It has ended.
            continue
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def listening(process: int) -> dict[str, str]:
    """Return where a family of processes listens, in hexadecimal, by socket."""
    inodes = set()
    for each in family(process):
        try:
            links = [str(link.readlink()) for link in (PROC / str(each) / "fd").iterdir()]
        except OSError:
            continue
        inodes |= {found[1] for link in links if (found := re.fullmatch(r"socket:\[(\d+)\]", link))}
    tables = [(PROC / str(os.getpid()) / "net" / name).read_text() for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return {row[9]: row[1].partition(":")[0] for row in rows if row[3] == LISTENS and row[9] in inodes}
