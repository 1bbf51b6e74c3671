"""Store the hash of each image file, so that a file that has not changed is not read again."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from featurekit.cache.storage import Signature, make_private_folder, signature_of
from featurekit.errors import StoreError
from featurekit.files import content_of, sha256_of_file
from featurekit.urls import Bucket, UrlPath


class FileIndex(AbstractContextManager["FileIndex"]):
    """Stores the hash of each file's bytes, so that an unchanged file is not read again.

    The hashes are in a SQLite file. If the SQLite file is damaged, locked or read-only, the hashes are
    computed again. With a wrong hash, an image would get the face of another image. So a hash is used only if
    the file's size, modification time, change time and inode number are the same as when it was hashed,
    and if the last change was at least two seconds before that: some disks record times so coarsely that two
    changes within two seconds can have the same time. A file in a bucket has a size and a number of its
    version instead; they are taken from a listing of its folder, which is asked for once.

    Use it in a `with` block, or call close(), so that new hashes are written.

    Args:
        path: path of the SQLite file; it is created if it does not exist.
    """

    PEACE = 2 * 10**9  # nanoseconds
    BATCH = 2000  # files remembered in one transaction
    PATIENCE = 5.0  # seconds to wait for another process that writes

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._fresh: dict[bytes, tuple[str, str]] = {}
        self._listings: dict[Path, dict[str, tuple[int, int]]] = {}
        self._database: sqlite3.Connection | None = None
        try:
            make_private_folder(path.parent)
            self._database = self._open()
        # The file is locked or read-only, but good; or there is no place to write.
        except (sqlite3.OperationalError, StoreError, OSError):
            return
        except sqlite3.DatabaseError:
            self._start_again()

    def __exit__(self, *_: object) -> None:
        self.close()

    def known(self, path: Path) -> str | None:
        """Return the stored hash of a file, or None if there is no hash or the file has changed."""
        try:
            status = path.stat()
        except (OSError, ValueError):  # no file can have such a name
            return None
        return self._stored(_name_of(path), _said(signature_of(status)))

    def _stored(self, name: bytes, signature: str) -> str | None:
        """Return the stored hash of a file that has this signature."""
        with self._lock:
            if name in self._fresh:
                remembered, content = self._fresh[name]
                return content if remembered == signature else None
            try:
                row = (
                    self._database
                    and self._database.execute(
                        "SELECT signature, sha256, seal FROM files_1 WHERE path = ?", (name,)
                    ).fetchone()
                )
            except sqlite3.Error as error:
                self._give_up(error)
                return None
        if not row or row[0] != signature or row[2] != _seal(name, row[0], row[1]):
            return None
        return str(row[1])

    def remember(self, path: Path, status: os.stat_result, sha256: str) -> None:
        """Store the hash of a file that has just been read.

        Args:
            path: path of the file.
            status: result of os.stat() from before the file was read.
            sha256: sha256 of the file's bytes, in hexadecimal.
        """
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < self.PEACE:
            return
        try:
            if signature_of(path.stat()) != signature_of(status):
                return  # it changed while it was read
        except OSError:
            return
        self._remember(_name_of(path), _said(signature_of(status)), sha256)

    def _remember(self, name: bytes, signature: str, sha256: str) -> None:
        with self._lock:
            self._fresh[name] = (signature, sha256)
            if len(self._fresh) >= self.BATCH:
                self._commit()

    def content_of(self, path: Path) -> str:
        """Return the sha256 of a file's bytes in hexadecimal; the file is read only if no hash is stored.

        Raises:
            OSError: the file cannot be read, or is not a plain file.
        """
        if isinstance(path, UrlPath):
            return self._content_in_bucket(path)
        if known := self.known(path):
            return known
        status = path.stat()
        content = sha256_of_file(path)
        self.remember(path, status, content)
        return content

    def _content_in_bucket(self, path: UrlPath) -> str:
        bucket = Bucket(path.scheme)
        with self._lock:
            if path.parent not in self._listings:
                self._listings[path.parent] = bucket.listed(path.parent)[0]
            listed = self._listings[path.parent].get(path.name)
        name, signature = _name_of(path), _said(listed or bucket.signature(path))
        if known := self._stored(name, signature):
            return known
        content = content_of(path)
        self._remember(name, signature, content)
        return content

    def named(self, paths: Sequence[Path], contents: Sequence[str]) -> int:
        """Return the number of files in the index that have one of these paths or hashes.

        Raises:
            StoreError: another process uses the index, or the index cannot be read.
        """
        with self._given(paths, contents) as database:
            found = database.execute("SELECT count(*) FROM files_1 WHERE path IN given OR sha256 IN given")
            return int(found.fetchone()[0])

    def forget(self, paths: Sequence[Path], contents: Sequence[str]) -> None:
        """Remove files from the index, by path or by hash, so that nothing about them stays in it.

        Raises:
            StoreError: another process uses the index, or the index cannot be written.
        """
        with self._given(paths, contents) as database:
            # Rows that were removed earlier may still be in free pages, which VACUUM drops; the rows that are
            # removed now are overwritten with zeros. After a kill in between the rows can still be found.
            database.execute("VACUUM")
            database.execute("PRAGMA secure_delete = ON")
            with database:
                database.execute("DELETE FROM files_1 WHERE path IN given OR sha256 IN given")

    @contextmanager
    def _given(self, paths: Sequence[Path], contents: Sequence[str]) -> Iterator[sqlite3.Connection]:
        """Open the index with these names in a table beside it, which is never written to the disk."""
        names = [(_name_of(path),) for path in paths] + [(content,) for content in contents]
        with self._lock:
            self._commit()
            try:
                if self._database is None:
                    raise sqlite3.OperationalError("another program uses it, or it may not be written")
                self._database.execute("PRAGMA temp_store = MEMORY")
                self._database.execute("CREATE TEMP TABLE IF NOT EXISTS given (name PRIMARY KEY)")
                with self._database:
                    self._database.execute("DELETE FROM given")
                    self._database.executemany("INSERT OR IGNORE INTO given VALUES (?)", names)
                yield self._database
            except sqlite3.Error as error:
                raise StoreError(
                    f"Cannot change {self._path}: {error}. Stop all other programs that use this workspace,"
                    " or delete the file: it is then created again."
                ) from error

    def close(self) -> None:
        """Write the new hashes and close the SQLite file."""
        with self._lock:
            self._commit()
            if self._database:
                self._database.close()
                self._database = None

    def _open(self) -> sqlite3.Connection:
        # SQLite gives its journal the permissions of the file.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        database = sqlite3.connect(self._path, timeout=self.PATIENCE, check_same_thread=False)
        try:
            database.execute(
                "CREATE TABLE IF NOT EXISTS files_1"
                " (path BLOB PRIMARY KEY, signature TEXT, sha256 TEXT, seal BLOB) WITHOUT ROWID"
            )
            database.execute("SELECT signature, sha256, seal FROM files_1 LIMIT 1").fetchone()
            database.commit()
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _start_again(self) -> None:
        """Replace a file that is not an index by a new one."""
        try:
            for end in ("", "-journal", "-wal", "-shm"):
                self._path.with_name(self._path.name + end).unlink(missing_ok=True)
            self._database = self._open()
        except (sqlite3.Error, OSError):
            self._database = None

    def _commit(self) -> None:
        if not self._database:
            return
        try:
            with self._database:
                self._database.executemany(
                    "INSERT OR REPLACE INTO files_1 VALUES (?, ?, ?, ?)",
                    [
                        (name, signature, content, _seal(name, signature, content))
                        for name, (signature, content) in self._fresh.items()
                    ],
                )
            self._fresh.clear()
        except sqlite3.Error as error:
            self._give_up(error)

    def _give_up(self, error: sqlite3.Error) -> None:
        """Go on with a new file if this one is malformed, or in memory if it is locked or read-only."""
        database, self._database = self._database, None
        if database:
            database.close()
        if not isinstance(error, sqlite3.OperationalError):
            self._start_again()


def _name_of(path: Path) -> bytes:
    return os.fsencode(str(path.absolute()))


def _said(signature: Signature) -> str:
    # As text: SQLite's integers end at 2**63, some file systems' inodes do not.
    return " ".join(map(str, signature))


def _seal(name: bytes, signature: Any, content: Any) -> bytes:
    """Return a checksum of one row of the index: SQLite does not notice a flipped bit in a value."""
    return blake2b(repr((name, signature, content)).encode(), digest_size=8).digest()
