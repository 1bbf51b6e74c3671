"""The cache in a bucket: an object store such as S3, which has no folders, no renaming and no locks.

What a bucket cannot promise is replaced. A file is uploaded at once and only if there is none of its name,
instead of being renamed into place, and the bucket is then asked what it has stored. A listing that lags
behind hides no file that this process knows of. A damaged file is moved aside by a copy, which is checked
before the file is deleted. There is no lock: two removals at once, of `cache gc` or `cache purge`, must be
avoided by the people who share the bucket.
"""

import errno
import io
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from featurekit.cache.storage import QUARANTINE, Signature, Storage
from featurekit.errors import StoreError
from featurekit.files import is_unfinished
from featurekit.urls import Bucket, UrlPath

# Bytes of a first request, and most bytes that are requested ahead while a file is read from start to end.
_FIRST, _AHEAD = 1 << 18, 8 << 20
# How often an upload is tried while somebody else uploads a file of the same name.
_TRIES = 4


class BucketStorage(Storage):
    """A folder in a bucket, for files that are written once as a whole, and read in parts.

    Args:
        root: URL of the folder.

    Raises:
        WorkspaceError: a package for this kind of bucket is not installed.
    """

    def __init__(self, root: UrlPath) -> None:
        self._bucket = Bucket(root.scheme)
        # Whether a file was there when this process last asked for it alone. A listing may be older.
        self._known: dict[Path, bool] = {}
        self._lock = threading.Lock()

    def put(self, path: Path, data: bytes) -> Signature:
        """Upload a file if there is none of its name, and return its signature (size, number of the version).

        The bucket has the whole file when this returns. If there is a file of this name, it must have the
        same bytes; a file with other bytes is damaged, is moved to the quarantine folder, and is replaced.

        Raises:
            StoreError: the file cannot be uploaded, or the bucket has cut it short.
        """
        try:
            for tried in range(_TRIES):
                if signature := self._try_to_put(path, data):
                    return signature
                time.sleep(0.1 * 2**tried)
        except OSError as error:
            raise StoreError(f"Cannot write {path}: {error.strerror or error}.") from None
        raise StoreError(f"Cannot write {path}: other programs write or remove the same file.")

    def _try_to_put(self, path: Path, data: bytes) -> Signature | None:
        """Upload a file, or find one with the same bytes; None if it must be tried again."""
        is_new = True
        try:
            self._bucket.create(path, data)
        except FileExistsError:
            is_new = False
        except OSError as error:
            if error.errno == errno.EBUSY:
                return None
            raise
        try:
            signature = self._signature(path)
            if signature[0] == len(data) and (is_new or self._bucket.read(path) == data):
                return signature
            self.move(path, path.parent / QUARANTINE / path.name)
        except FileNotFoundError:
            return None
        if is_new:
            raise StoreError(
                f"Cannot write {path}: {len(data):,} bytes were sent, and the bucket has stored"
                f" {signature[0]:,}."
            )
        return None

    def exists(self, path: Path) -> bool:
        """Whether a file of this name exists."""
        try:
            self._signature(path)
        except FileNotFoundError:
            return False
        return True

    def read(self, path: Path) -> bytes:
        """Return the bytes of a small file.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        return self._bucket.read(path)

    @contextmanager
    def open(self, path: Path) -> Iterator[tuple[IO[bytes], Signature]]:
        """Open a file to read any part of it; yield the open file and its signature.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        signature = self._signature(path)

        def fetch(start: int, end: int) -> bytes:
            try:
                return self._bucket.read(path, start, end)
            except FileNotFoundError:
                self._note(path, is_there=False)
                raise

        yield cast("IO[bytes]", _Ranges(fetch, signature[0])), signature

    def list(self, folder: Path, ending: str) -> dict[Path, Signature]:
        """Return the signature of each file in a folder whose name has this ending, by path.

        A listing may lag behind what was written or deleted. Files that this process has written, read or
        found are asked for one by one if the listing says something else about them.
        """
        return {
            path: signature
            for path, signature in self._listed(folder)[0].items()
            if path.name.endswith(ending) and not path.name.startswith(".")
        }

    def _listed(self, folder: Path) -> tuple[dict[Path, Signature], Sequence[Path]]:
        """Return the signature of each file in a folder, hidden or not, and the folders in it."""
        found, folders = self._bucket.listed(folder)
        listed: dict[Path, Signature] = {folder / name: signature for name, signature in found.items()}
        with self._lock:
            doubtful = [
                path
                for path, there in self._known.items()
                if path.parent == folder and there != (path in listed)
            ]
        for path in doubtful:
            listed.pop(path, None)
            with suppress(FileNotFoundError):
                listed[path] = self._signature(path)
        for path in listed:
            self._note(path, is_there=True)
        return listed, [folder / name for name in folders]

    def move(self, path: Path, to: Path) -> None:
        """Copy a file to another path, check the copy, and delete the file.

        If the process is killed in between, the file is at both paths.
        """
        size = self._signature(path)[0]
        self._bucket.copy(path, to)
        copied = self._signature(to)[0]
        if copied != size:
            raise StoreError(f"Cannot copy {path} to {to}: {size:,} bytes have become {copied:,}.")
        self._bucket.delete(path)
        self._note(path, is_there=False)

    def delete(self, path: Path) -> int:
        """Remove a file, and return its size.

        Raises:
            FileNotFoundError: the file does not exist.
            StoreError: the file is still there.
        """
        size = self._signature(path)[0]
        self._bucket.delete(path)
        if self.exists(path):
            raise StoreError(f"Cannot delete {path}: the bucket still has the file.")
        return size

    def folders(self, folder: Path) -> Sequence[Path]:
        """Return the paths of the folders in a folder, sorted."""
        return [folder / name for name in self._bucket.listed(folder)[1]]

    def files(self, folder: Path) -> dict[Path, int]:
        """Return the size of every file in a folder and in the folders below, by path."""
        listed, folders = self._listed(folder)
        found = {path: signature[0] for path, signature in listed.items()}
        for below in folders:
            found |= self.files(below)
        return found

    def remove_folder(self, folder: Path) -> Sequence[tuple[Path, int]]:
        """Remove all files in a folder and below; return them with their sizes."""
        return [(path, self.remove(path)) for path in self.files(folder)]

    def unfinished(self, folder: Path) -> Sequence[Path]:
        """Return the unfinished files in a folder.

        What is not uploaded as a whole is no file. But a cache that was copied from a disk may have brought
        what a killed process had left there.
        """
        return [path for path in self._listed(folder)[0] if is_unfinished(path)]

    @contextmanager
    def removal_lock(self, root: Path) -> Iterator[None]:
        """Do not wait: a bucket has no lock."""
        yield

    def check_forgets(self, root: Path) -> None:
        """Raise an error if the bucket keeps the files that are deleted.

        Raises:
            StoreError: the bucket keeps them, or it cannot be told whether it does.
        """
        why = "it cannot be told from here"
        try:
            keeps = self._bucket.keeps_versions(root)
        except OSError as error:
            keeps, why = None, str(error.strerror or error)
        if keeps:
            raise StoreError(
                f"The bucket of {root} keeps old versions of deleted files, so a purge would leave data of a"
                " subject there. Use a bucket that never had versioning, or delete the whole cache with all"
                " its versions: featurekit extract computes it again without the subject."
            )
        if keeps is None:
            raise StoreError(
                f"It is not known whether the bucket of {root} keeps deleted files ({why}), so a purge cannot"
                " promise that nothing is left. Delete the whole cache in the bucket, with all versions:"
                " featurekit extract computes it again without the subject."
            )

    def _signature(self, path: Path) -> Signature:
        try:
            signature = self._bucket.signature(path)
        except FileNotFoundError:
            self._note(path, is_there=False)
            raise
        self._note(path, is_there=True)
        return signature

    def _note(self, path: Path, *, is_there: bool) -> None:
        with self._lock:
            self._known[path] = is_there


class _Ranges(io.RawIOBase):
    """A file that is read by requests for ranges of it.

    Small reads one after the other are answered from fewer and larger requests.

    Args:
        fetch: returns the bytes from a start to an end.
        size: size of the file.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch, self._size, self._at, self._ahead = fetch, size, 0, _FIRST
        # The start of the file, which is read twice, and the last request: first position and bytes.
        self._blocks: list[tuple[int, bytes]] = [(0, b""), (0, b"")]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and self._at < self._size:
            some = self._some(self._at, min(len(view) - done, self._size - self._at))
            if not some:  # the file has become shorter
                break
            view[done : done + len(some)] = some
            done += len(some)
            self._at += len(some)
        return done

    def _some(self, start: int, size: int) -> bytes:
        """Return at least one and at most size bytes from a position, if there are any."""
        for first, block in self._blocks:
            if first <= start < first + len(block):
                return block[start - first : start - first + size]
        first, block = self._blocks[1]
        is_next = start == first + len(block)
        self._ahead = min(2 * self._ahead, _AHEAD) if is_next and start else _FIRST
        fetched = self._fetch(start, min(start + max(size, self._ahead), self._size))
        self._blocks[1] = start, fetched
        if not start:
            self._blocks[0] = start, fetched[:_FIRST]
        return fetched[:size]
