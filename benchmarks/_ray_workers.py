"""Find the processes of Ray's workers, for measurements and tests that kill them."""

import os
from pathlib import Path


def workers_at_work() -> list[int]:
    """Return the numbers of the processes of this program's Ray workers that have a piece of work."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if folder.name.isdecimal() and command.startswith(b"ray::_Worker.work") and is_ours(int(folder.name)):
            found.append(int(folder.name))
    return found


def is_ours(number: int) -> bool:
    """Whether a process descends from this one: another program may use Ray on this machine, too."""
    while number > 1 and number != os.getpid():
        try:
            number = int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return number == os.getpid()
