"""Find the photographs below a folder, and count what is none.

A file whose ending is a picture's is a row whatever is in it, and is not opened
here. Any other file is opened for its first bytes: a photograph called .jfif,
.JPG_original or nothing at all is a photograph. What is left out is counted, so
that nobody loses a class of pictures without a word.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from featurekit.data.file_types import ENDINGS, HEAD, RAW_ENDINGS, is_photograph
from featurekit.errors import ManifestError
from featurekit.files import leads_out

# Kinds of files that are listed in a message; of more, the others' number.
_LISTED = 4

# Why a file is left out, in the order of a message.
_NO_PHOTOGRAPH = "not images"
_RAW = "raw camera files, which have to be exported as JPEG"
_UNREADABLE = "files that cannot be opened"
_OUTSIDE = "links to files outside the folder"
_HIDDEN = "hidden files and folders"
_SYSTEM = "folders that operating systems and network drives create"
# Names in small letters. What lies in them are copies, thumbnails and what was deleted.
_SYSTEM_FOLDERS = ("@eadir", "__macosx", "$recycle.bin", "#recycle", "@recycle", "#snapshot", "lost+found")


@dataclass(frozen=True)
class Found:
    """What lies below a folder.

    Attributes:
        table: columns image_path and reason, one row a photograph, in alphabetical order. Paths are relative
            to the folder, with forward slashes. The reason is "" but for a link to a folder outside, and
            for a name that is no text.
        counts: why files were left out → how many.
        note: the same in one sentence, with an example; "" where nothing was left out.
        empty: folders directly below without a photograph.
    """

    table: pd.DataFrame
    counts: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    empty: tuple[str, ...] = ()


def check_folder(folder: Path) -> None:
    """Raise ManifestError unless the folder is there."""
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise ManifestError(f"{folder} {what}. Give the folder of the data set.")


def part_of(folder: Path, name: str) -> Path:
    """Return a file, or folder, of a data set; it need not be there.

    Raises:
        ManifestError: it is a link that leads out of the data set's folder.
    """
    if leads_out(folder / name, folder):
        raise ManifestError(f"{folder / name} is outside the folder of the data set, and is not read.")
    return folder / name


def find_pictures(folder: Path) -> Found:
    """Return every photograph below a folder, by content, and what else lies there.

    Hidden files and folders are left out, and folders such as @eaDir and __MACOSX. Links are followed, but
    not to a folder outside and not to nothing: those are one row each.

    Raises:
        ManifestError: the folder is not there, cannot be read, or has no photograph in it.
    """
    check_folder(folder)
    search = _Search(folder)
    try:
        search.look_in(folder, "", frozenset())
    except OSError as error:
        raise ManifestError(f"Cannot read {error.filename}: {error.strerror}.") from error
    note = search.note()
    if not search.rows:
        raise ManifestError(f"There are no images below {folder}. {note}".rstrip())
    table = pd.DataFrame(sorted(search.rows), columns=["image_path", "reason"], dtype=object)
    with_pictures = {path.partition("/")[0] for path, _ in search.rows}
    counts = {why: files.total() for why, files in search.left_out.items()}
    return Found(table, counts, note, tuple(sorted(search.folders - with_pictures)))


class _Search:
    """Walks a folder and remembers the photographs, and by reason the endings of what was left out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.rows: list[tuple[str, str]] = []
        self.left_out: dict[str, Counter[str]] = {}
        self.folders: set[str] = set()  # directly below
        self._examples: dict[str, str] = {}

    def look_in(self, here: Path, prefix: str, above: frozenset[tuple[int, int]]) -> None:
        """Look at everything in a folder and below it; above are the folders that it lies in."""
        status = here.stat()
        if (status.st_dev, status.st_ino) in above:
            return  # a link to a folder that it lies in
        with os.scandir(here) as entries:
            for entry in entries:
                # Of a name that is no UTF-8 a table cannot hold the bytes; it shows them escaped.
                name = os.fsencode(entry.name).decode("utf-8", "backslashreplace")
                if name.startswith("."):
                    self._leave_out(prefix + name, _HIDDEN)
                elif name.lower() in _SYSTEM_FOLDERS and entry.is_dir(follow_symlinks=False):
                    self._leave_out(prefix + name, _SYSTEM)
                elif here.joinpath(entry.name).is_dir() if entry.is_symlink() else entry.is_dir():
                    if entry.is_symlink() and leads_out(here / entry.name, self._folder):
                        self.rows.append((prefix + name, "outside_root"))
                        continue
                    if not prefix:
                        self.folders.add(name)
                    below = above | {(status.st_dev, status.st_ino)}
                    self.look_in(here / entry.name, f"{prefix}{name}/", below)
                else:
                    why = self._why_not(entry)
                    if why:
                        self._leave_out(prefix + name, why)
                    else:
                        self.rows.append((prefix + name, "" if name == entry.name else "bad_path"))

    def _why_not(self, entry: "os.DirEntry[str]") -> str:
        """Return why a file is left out, "" where it is a photograph or is meant to be one."""
        ending = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 — half a million names
        if ending in ENDINGS:
            return ""
        if entry.is_symlink() and not Path(entry.path).exists():
            return ""  # a row whose file is not there
        if ending in RAW_ENDINGS:
            return _RAW
        if entry.is_symlink() and leads_out(Path(entry.path), self._folder):
            return _OUTSIDE
        # A pipe would never end, and opening a device may do anything.
        if not entry.is_file():
            return _NO_PHOTOGRAPH
        try:
            descriptor = os.open(entry.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                head = os.read(descriptor, HEAD)
            finally:
                os.close(descriptor)
        except OSError:
            return _UNREADABLE
        return "" if is_photograph(head) else _NO_PHOTOGRAPH

    def _leave_out(self, path: str, why: str) -> None:
        name = path.rpartition("/")[2]
        kind = Path(name).suffix.lower() or name
        self.left_out.setdefault(why, Counter())[kind] += 1
        # The first in the alphabet, so that the message does not depend on the folder's own order.
        self._examples[why] = min(self._examples.get(why, path), path)

    def note(self) -> str:
        """Say what was left out, with an example of each reason."""
        parts = []
        for why in (_NO_PHOTOGRAPH, _RAW, _UNREADABLE, _OUTSIDE, _HIDDEN, _SYSTEM):
            if not (kinds := self.left_out.get(why)):
                continue
            said = [f"for example '{self._examples[why]}'"]
            if why == _NO_PHOTOGRAPH:
                most = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
                said[:0] = [f"{n:,} {kind}" for kind, n in most[:_LISTED]]
                if others := kinds.total() - sum(n for _, n in most[:_LISTED]):
                    said.insert(-1, f"{others:,} others")
            parts.append(f"{why}: {kinds.total():,} ({', '.join(said)})")
        return f"Files that were not read: {'; '.join(parts)}." if parts else ""
