"""Find the images in a folder and its subfolders, and count the other files.

A file with the file extension of an image is listed without opening it. The first bytes of any other file are
read, so that images named .JPG_original, or without a file extension, are found. Files that are left out are
counted and reported, so that no class of images is lost unnoticed.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from featurekit.data.file_types import ENDINGS, HEAD, RAW_ENDINGS, is_image
from featurekit.errors import ManifestError
from featurekit.files import is_outside, leads_out
from featurekit.urls import Bucket, UrlPath

# How many kinds of files a message lists; the others are counted.
_LISTED = 4

# Why a file is left out, in the order of a message.
_NO_IMAGE = "not images"
_RAW = "raw camera files, which have to be exported as JPEG"
_UNREADABLE = "files that cannot be opened"
_OUTSIDE = "links to files outside the folder"
_HIDDEN = "hidden files and folders"
_SYSTEM = "folders that operating systems and network drives create"
# Names in small letters. These folders hold copies, thumbnails and deleted files.
_SYSTEM_FOLDERS = ("@eadir", "__macosx", "$recycle.bin", "#recycle", "@recycle", "#snapshot", "lost+found")


@dataclass(frozen=True)
class Found:
    """The images in a folder and its subfolders, and the files that were left out.

    Attributes:
        table: columns image_path and reason, one row per image, in alphabetical order. Paths are relative
            to the folder, with forward slashes. The reason is "", except for a link that leads out of the
            folder and for a name that is not UTF-8.
        counts: reason why files were left out → number of files.
        note: sentence about the files that were left out, with an example; "" if there are none.
        empty: names of the direct subfolders without an image.
    """

    table: pd.DataFrame
    counts: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    empty: tuple[str, ...] = ()


def check_folder(folder: Path) -> None:
    """Check that the folder of a data set exists.

    Raises:
        ManifestError: it does not exist, is not a folder, or is in a bucket that cannot be read.
    """
    if isinstance(folder, UrlPath):
        try:
            names = any(Bucket(folder.scheme).listed(folder))
        except OSError as error:
            raise ManifestError(f"Cannot read {folder}: {error.strerror or error}.") from None
        if not names:
            raise ManifestError(f"There are no files in {folder}. Give the folder of the images.")
        return
    if not folder.is_dir():
        raise ManifestError(
            f"{folder} {'is not a folder' if folder.exists() else 'does not exist'}. Give the folder of the"
            " data set."
        )


def part_of(folder: Path, name: str) -> Path:
    """Return the path of a file or folder in a data set, whether it exists or not.

    Raises:
        ManifestError: the path is a link that leads out of the folder of the data set.
    """
    if is_outside(folder / name, folder):
        raise ManifestError(f"{folder / name} is outside the folder of the data set, and is not read.")
    return folder / name


def find_images(folder: Path) -> Found:
    """Return every image in a folder and its subfolders, and the files that were left out.

    Hidden files and folders are left out, and so are system folders such as @eaDir and __MACOSX. Links are
    followed unless they are broken or lead to a folder outside; such a link is a row that cannot be used. In
    a bucket, only the file extension says what is an image.

    Raises:
        ManifestError: the folder does not exist, cannot be read, or contains no image.
    """
    check_folder(folder)
    search = _Search(folder)
    try:
        if isinstance(folder, UrlPath):
            search.look_in_bucket(folder, "")
        else:
            search.look_in(folder, "", frozenset())
    except OSError as error:
        raise ManifestError(f"Cannot read {error.filename}: {error.strerror}.") from error
    note = search.note()
    if not search.rows:
        raise ManifestError(f"There are no images below {folder}. {note}".rstrip())
    with_images = {path.partition("/")[0] for path, _ in search.rows}
    return Found(
        table=pd.DataFrame(sorted(search.rows), columns=["image_path", "reason"], dtype=object),
        counts={why: len(paths) for why, paths in search.left_out.items()},
        note=note,
        empty=tuple(sorted(search.folders - with_images)),
    )


class _Search:
    """Walks a folder and collects the paths of images and, by reason, of the files that it leaves out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.rows: list[tuple[str, str]] = []
        self.left_out: dict[str, list[str]] = defaultdict(list)
        self.folders: set[str] = set()  # directly below

    def look_in(self, here: Path, prefix: str, above: frozenset[tuple[int, int]]) -> None:
        """Search a folder and the folders below it.

        Args:
            here: the folder.
            prefix: its path, with a slash at the end, as rows begin with it.
            above: device and inode of each folder that it is in.
        """
        status = here.stat()
        below = above | {(status.st_dev, status.st_ino)}
        if below == above:
            return  # a link to a folder that it is in
        with os.scandir(here) as entries:
            for entry in entries:
                # A table cannot hold the bytes of a name that is not UTF-8; it shows them escaped.
                name = os.fsencode(entry.name).decode("utf-8", "backslashreplace")
                if name.startswith("."):
                    self.left_out[_HIDDEN].append(prefix + name)
                elif name.lower() in _SYSTEM_FOLDERS and entry.is_dir(follow_symlinks=False):
                    self.left_out[_SYSTEM].append(prefix + name)
                elif not (here.joinpath(entry.name).is_dir() if entry.is_symlink() else entry.is_dir()):
                    if why := self._why_not(entry):
                        self.left_out[why].append(prefix + name)
                    else:
                        self.rows.append((prefix + name, "" if name == entry.name else "bad_path"))
                elif entry.is_symlink() and leads_out(here / entry.name, self._folder):
                    self.rows.append((prefix + name, "outside_root"))
                else:
                    if not prefix:
                        self.folders.add(name)
                    self.look_in(here / entry.name, f"{prefix}{name}/", below)

    def look_in_bucket(self, here: UrlPath, prefix: str) -> None:
        """Search a folder of a bucket, and the folders below it; see look_in().

        Raises:
            OSError: a folder cannot be listed.
        """
        files, folders = Bucket(here.scheme).listed(here)
        for name in files:
            ending = Path(name).suffix.lower()
            if name.startswith("."):
                self.left_out[_HIDDEN].append(prefix + name)
            elif ending in ENDINGS:
                self.rows.append((prefix + name, ""))
            else:
                self.left_out[_RAW if ending in RAW_ENDINGS else _NO_IMAGE].append(prefix + name)
        for name in folders:
            if name.startswith("."):
                self.left_out[_HIDDEN].append(prefix + name)
            elif name.lower() in _SYSTEM_FOLDERS:
                self.left_out[_SYSTEM].append(prefix + name)
            else:
                if not prefix:
                    self.folders.add(name)
                self.look_in_bucket(UrlPath(here / name), f"{prefix}{name}/")

    def _why_not(self, entry: "os.DirEntry[str]") -> str:
        """Return why a file is left out, "" if it is an image or is meant to be one."""
        ending = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 — half a million names
        # A link to nothing becomes a row whose file is missing.
        if ending in ENDINGS or (entry.is_symlink() and not Path(entry.path).exists()):
            return ""
        if ending in RAW_ENDINGS:
            return _RAW
        if entry.is_symlink() and leads_out(Path(entry.path), self._folder):
            return _OUTSIDE
        # Reading a pipe would never end, and opening a device may have any effect.
        if not entry.is_file():
            return _NO_IMAGE
        try:
            with os.fdopen(os.open(entry.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", 0) as file:
                return "" if is_image(os.read(file.fileno(), HEAD)) else _NO_IMAGE
        except OSError:
            return _UNREADABLE

    def note(self) -> str:
        """Say what was left out, with an example for each reason."""
        # The first in the alphabet, so that the message does not depend on the order of the file system.
        parts = [
            f"{why}: {len(paths):,} ({_kinds(paths) if why == _NO_IMAGE else ''}for example '{min(paths)}')"
            for why in (_NO_IMAGE, _RAW, _UNREADABLE, _OUTSIDE, _HIDDEN, _SYSTEM)
            if (paths := self.left_out.get(why))
        ]
        return f"Files that were not read: {'; '.join(parts)}." if parts else ""


def _kinds(paths: Sequence[str]) -> str:
    """Return how many files have each ending, the most frequent ones first, with a comma after each."""
    kinds = Counter(Path(path).suffix.lower() or Path(path).name for path in paths)
    most = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    n_others = sum(n for _, n in most[_LISTED:])
    said = [f"{n:,} {kind}, " for kind, n in most[:_LISTED]]
    return "".join(said) + (f"{n_others:,} others, " if n_others else "")
