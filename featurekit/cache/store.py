"""Remember what was computed, so that no picture is read and no network run twice.

A *shelf* holds everything made by one recipe; its rows are found by a key of 32
bytes, the hash of the picture they were made from. A shelf is a folder of
*shards*: safetensors files that are written once, never changed, and named by the
hash of their own bytes; only where a person is to be forgotten are they written
anew, without them. Everything else follows from that: a damaged shard is
known by its name, several writers cannot disturb each other, a killed writer
leaves only a hidden unfinished file, and nothing but the shards has to be right,
since every shard holds all columns of its rows, their keys and the recipe.

    <root>/<kind>/<first 16 of the recipe's key>/recipe.json
                                                 <sha256 of the bytes>.safetensors
                                                 quarantine/     damaged shards, served to nobody

The vectors describe people's faces: folders are made for the user alone (0700),
and so are files (0600).
"""

import errno
import fcntl
import json
import os
import re
import shutil
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from hashlib import blake2b, sha256
from pathlib import Path
from typing import IO, Any, BinaryIO, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import StoreError
from featurekit.files import is_running, is_unfinished, make_folder, sync_folder, whole_file, writer_of

# Raise when the layout of a shard changes: older shards are then damaged to this version and recomputed.
STORE_VERSION = 1

# Name of the column that holds the keys of the rows.
ROW_KEY = "row_key"

# Most bytes read into memory beside the answer.
BLOCK = 16 << 20

# The kinds of numbers a column may hold, by their name in a safetensors header.
DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype("<u1"),
    "I8": np.dtype("<i1"),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "F16": np.dtype("<f2"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "F32": np.dtype("<f4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
}

# An unfinished file is written without a pause; untouched for so many seconds, it has been left.
# It is the only sign of life of a writer on another machine.
LEFT_ALONE = 60.0

RowKeys = Sequence[bytes] | NDArray[np.uint8]

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


def _in_one_line(function: Callable[_Given, _Answer]) -> Callable[_Given, _Answer]:
    """Return the function, for which whatever the operating system refuses is a StoreError."""

    @wraps(function)
    def told(*given: _Given.args, **named: _Given.kwargs) -> _Answer:
        try:
            return function(*given, **named)
        except OSError as error:
            raise StoreError(
                f"Cannot use {error.filename or 'the cache'}: {error.strerror or error}."
            ) from error

    return told


def recipe_key(recipe: Mapping[str, Any]) -> str:
    """Return the sha256 of a recipe: equal for equal recipes, whatever the order of their parts.

    >>> recipe_key({"a": 1, "b": (2, 3)}) == recipe_key({"b": [2, 3], "a": 1})
    True

    Raises:
        StoreError: a part is not plain JSON (text, numbers, lists, mappings), or not a finite number.
    """
    return sha256(_canonical(recipe).encode()).hexdigest()


def _canonical(recipe: Mapping[str, Any]) -> str:
    _refuse_other_than_json(recipe, "recipe")
    return json.dumps(recipe, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _refuse_other_than_json(part: Any, where: str) -> None:
    # json.dumps turns the keys 1, True and None into text, so two recipes could share a key.
    if isinstance(part, Mapping):
        for name, value in part.items():
            if not isinstance(name, str):
                raise StoreError(f"{where} has the key {name}, but keys must be text.")
            _refuse_other_than_json(value, f"{where}.{name}")
    elif isinstance(part, (list, tuple)):
        for number, value in enumerate(part):
            _refuse_other_than_json(value, f"{where}[{number}]")
    elif isinstance(part, float) and not np.isfinite(part):
        raise StoreError(f"{where} is {part}, but a recipe must have finite numbers.")
    elif part is not None and type(part) not in (str, int, float, bool):
        raise StoreError(f"{where} is a {type(part).__name__}, but a recipe must be plain JSON.")


@dataclass(frozen=True)
class Damage:
    """A file of the store that is not what it says.

    Attributes:
        path: where it was found; it has been moved to the quarantine folder beside it.
        why: what is wrong with it.
    """

    path: Path
    why: str


@dataclass(frozen=True)
class ShelfInfo:
    """What stands on one shelf, as its files say; they are not hashed for it.

    Attributes:
        kind: e.g. "faces" or "embeddings".
        key: name of its folder, the first 16 digits of the recipe's key.
        recipe: what the rows were made by; empty where the files no longer say.
        rows: different rows.
        shards: files.
        bytes: their size.
        damaged: files in quarantine or not readable; `verify` says more.
    """

    kind: str
    key: str
    recipe: Mapping[str, Any]
    rows: int
    shards: int
    bytes: int
    damaged: int


@dataclass(frozen=True)
class Verified:
    """What a check of every shard found.

    Attributes:
        shards: files that are what they say.
        bytes: their size.
        damaged: files that are not; their rows are computed again by the next extraction.
    """

    shards: int
    bytes: int
    damaged: tuple[Damage, ...]


@dataclass(frozen=True)
class Freed:
    """What gc removed.

    Attributes:
        files: where they were.
        bytes: their size.
    """

    files: tuple[Path, ...]
    bytes: int


class Shelf:
    """All rows made by one recipe.

    Made by Store.shelf(). The first look at a shard in a process hashes it; a damaged
    one goes to quarantine and its rows count as missing, so that they are computed again.

    Args:
        folder: where its shards are; it need not exist yet.
        kind: e.g. "embeddings".
        recipe: what the rows are made by.
        read_only: whether a damaged shard is left where it is; its rows are not served all the same.
    """

    def __init__(
        self, folder: Path, kind: str, recipe: Mapping[str, Any], *, read_only: bool = False
    ) -> None:
        self.folder = folder
        self.kind = kind
        self.read_only = read_only
        self.recipe = dict(recipe)
        self.key = recipe_key(recipe)
        self._damaged: list[Damage] = []
        self._lock = threading.RLock()
        self._forget()
        self.refresh()

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def damaged(self) -> tuple[Damage, ...]:
        """The files that this process found damaged here, and moved away."""
        return tuple(self._damaged)

    def rows(self) -> NDArray[np.uint8]:
        """Return the key of every row, shape (n_rows, 32), shard by shard: the quickest order to read."""
        order = np.lexsort((self._row_of, self._shard_of))
        return self._keys[order].view(np.uint8).reshape(-1, 32)

    def columns(self) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
        """Return the dtype and the shape of one row of each column; empty where the shelf is empty."""
        if not self._shards:
            return {}
        return {name: (column.dtype, column.shape) for name, column in self._shards[0].columns.items()}

    def missing(self, row_keys: RowKeys) -> NDArray[np.intp]:
        """Return which of these rows are not there, as increasing numbers into row_keys."""
        return np.flatnonzero(self._find(_as_keys(row_keys)) < 0)

    @_in_one_line
    def append(self, row_keys: RowKeys, columns: Mapping[str, NDArray[Any]]) -> None:
        """Write one shard of rows; it is on the disk when this returns.

        A row that is there already is not written again: what the same recipe makes of
        the same picture is equal to the last bit.

        Args:
            row_keys: shape (n_rows, 32).
            columns: name → one value a row, shape (n_rows, ...); the same columns, dtypes and
                shapes every time.

        Raises:
            StoreError: the columns are not those of the shelf, or not one value a row.
            WorkspaceError: the disk is full or cannot be written; nothing is lost then but these rows.
        """
        keys = _as_keys(row_keys)
        self._check_columns(len(keys), columns)
        with self._lock:
            _, first = np.unique(keys, return_index=True)
            fresh = np.sort(first)
            fresh = fresh[self._find(keys[fresh]) < 0]
            if not len(fresh):
                return
            tensors = {
                name: np.ascontiguousarray(np.asarray(values)[fresh]) for name, values in columns.items()
            }
            _make_private_folder(self.folder)
            if not (self.folder / "recipe.json").exists():
                _write_recipe(self.folder, self.recipe)
            path, data = _write_shard(self.folder, self.kind, self.recipe, keys[fresh], tensors)
            self._add([_parse_shard(path, _signature(path.stat()), data, len(data))])

    @_in_one_line
    def read(self, row_keys: RowKeys, columns: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Return columns of rows in the order asked; a row may be asked for twice.

        Beside the answer itself a few megabytes of memory are used, whatever the size of the shelf.

        Args:
            row_keys: shape (n_rows, 32).
            columns: which; all where None.

        Returns:
            name → shape (n_rows, ...).

        Raises:
            StoreError: a row or a column is not there, or shards disagree about a column.
        """
        keys = _as_keys(row_keys)
        for _ in range(3):
            try:
                return self._gather(keys, columns)
            except (_DamagedError, FileNotFoundError):
                # A shard went away or was damaged after it had been looked at; its rows may stand elsewhere.
                self.refresh()
            except OSError as error:
                raise StoreError(f"Cannot read {self.folder}: {error.strerror or error}.") from error
        raise StoreError(f"The shards of {self.folder} change while they are read. Try again.")

    @_in_one_line
    def refresh(self) -> None:
        """See what other writers have added or removed since."""
        with self._lock:
            found = _signatures(self.folder)
            if any(found.get(shard.path) != shard.signature for shard in self._shards):
                self._forget()
            known = {shard.path for shard in self._shards}
            fresh = []
            for path in sorted(found.keys() - known):
                try:
                    fresh.append(_open_shard(path, self.kind, self.key))
                except FileNotFoundError:  # collected by somebody else in this moment
                    continue
                except _DamagedError as damage:
                    found_so = Damage(path, str(damage)) if self.read_only else _quarantine(path, damage)
                    if found_so not in self._damaged:
                        self._damaged.append(found_so)
            self._add(fresh)

    def _forget(self) -> None:
        self._shards: list[_Shard] = []
        # Sorted keys, and where each one's row is: number into _shards, row in that shard.
        self._keys = np.zeros(0, "S32")
        self._shard_of = np.zeros(0, np.intp)
        self._row_of = np.zeros(0, np.intp)

    def _add(self, shards: "Sequence[_Shard]") -> None:
        """Put shards into the index; of a row that stands in several, the first serves."""
        if not shards:
            return
        sizes = [len(shard.keys) for shard in shards]
        keys, first = np.unique(np.concatenate([shard.keys for shard in shards]), return_index=True)
        shard_of = np.repeat(np.arange(len(shards)) + len(self._shards), sizes)[first]
        row_of = np.concatenate([np.arange(size) for size in sizes])[first]
        fresh = self._find(keys) < 0
        at = np.searchsorted(self._keys, keys[fresh])
        with self._lock:
            self._shards = [*self._shards, *shards]
            self._shard_of = np.insert(self._shard_of, at, shard_of[fresh])
            self._row_of = np.insert(self._row_of, at, row_of[fresh])
            self._keys = np.insert(self._keys, at, keys[fresh])

    def _find(self, keys: NDArray[np.bytes_]) -> NDArray[np.intp]:
        """Return the position of each key in the index, or -1."""
        with self._lock:
            if not len(self._keys):
                return np.full(len(keys), -1, np.intp)
            at = np.searchsorted(self._keys, keys)
            at[at == len(self._keys)] = 0
            return np.where(self._keys[at] == keys, at, -1)

    def _check_columns(self, n_rows: int, columns: Mapping[str, NDArray[Any]]) -> None:
        for name, values in columns.items():
            array = np.asarray(values)
            if name == ROW_KEY:
                raise StoreError(f"A column must not be called {ROW_KEY}.")
            if array.dtype.newbyteorder("<") not in DTYPES.values():
                raise StoreError(
                    f"Column {name} is {array.dtype}, but must hold numbers of 8 to 64 bits or booleans."
                )
            if array.ndim == 0 or len(array) != n_rows:
                raise StoreError(f"Column {name} has shape {array.shape} for {n_rows} rows.")
        theirs = self.columns()
        ours = {
            name: (np.asarray(values).dtype.newbyteorder("<"), np.shape(values)[1:])
            for name, values in columns.items()
        }
        if theirs and ours != theirs:
            raise StoreError(
                f"The columns {_describe(ours)} are not those of {self.folder}: {_describe(theirs)}."
                f" {_REMOVE.format(key=self.folder.name)}"
            )

    def _gather(self, keys: NDArray[np.bytes_], columns: Sequence[str] | None) -> dict[str, NDArray[Any]]:
        with self._lock:
            at = self._find(keys)
            if (at < 0).any():
                row = int(np.argmax(at < 0))
                raise StoreError(
                    f"Row {row} ({_hex(keys[row])}) is not on the shelf {self.folder}"
                    f" ({np.count_nonzero(at < 0)} of {len(at)} are not). Extract again."
                )
            shard_of, row_of, shards = self._shard_of[at], self._row_of[at], self._shards
            known = self.columns()
        names = list(known) if columns is None else list(columns)
        strange = sorted(set(names) - set(known))
        if strange:
            raise StoreError(f"No columns {strange} on the shelf {self.folder}. Known: {sorted(known)}.")
        answer = {name: np.empty((len(keys), *known[name][1]), known[name][0]) for name in names}
        order = np.lexsort((row_of, shard_of))
        for positions in np.split(order, np.flatnonzero(np.diff(shard_of[order])) + 1):
            if not len(positions):
                continue
            shard = shards[shard_of[positions[0]]]
            with shard.path.open("rb", buffering=0) as file:
                for name in names:
                    column = shard.columns.get(name)
                    if column is None or (column.dtype, column.shape) != known[name]:
                        raise StoreError(
                            f"Column {name} of {shard.path} is not that of {shards[0].path.name}."
                            f" {_REMOVE.format(key=self.folder.name)}"
                        )
                    _read_rows(file, column, row_of[positions], answer[name], positions)
        return answer


class Store:
    """Everything that was computed, one shelf a recipe.

    Args:
        root: folder of the store; it is made when something is first written.
        read_only: whether damaged shards are left where they are, for somebody who only looks.
    """

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        self.root = root
        self.read_only = read_only
        self._shelves: dict[Path, Shelf] = {}

    @_in_one_line
    def shelf(self, kind: str, recipe: Mapping[str, Any]) -> Shelf:
        """Return the shelf of a recipe, with everything that is on the disk now.

        Args:
            kind: e.g. "embeddings"; a folder name.
            recipe: plain JSON.

        Raises:
            StoreError: the shelf's folder says that it belongs to another recipe.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]*", kind):
            raise StoreError(f"'{kind}' cannot name a kind of shelf: small letters, digits and _ only.")
        key = recipe_key(recipe)
        folder = self.root / kind / key[:16]
        wrong = _wrong_recipe(folder, key)
        if wrong:
            raise StoreError(f"{folder / 'recipe.json'} {wrong}. Repair it: featurekit cache verify")
        if folder in self._shelves:
            self._shelves[folder].refresh()
        else:
            self._shelves[folder] = Shelf(folder, kind, recipe, read_only=self.read_only)
        return self._shelves[folder]

    @_in_one_line
    def shelves(self) -> list[ShelfInfo]:
        """Return what is there, by kind and key; only verify() sees damage inside a shard."""
        infos = []
        for folder in self._folders():
            shards, damaged = [], len(_entries(folder / "quarantine"))
            for path in sorted(_signatures(folder)):
                try:
                    shards.append(_open_shard(path, folder.parent.name, folder.name, hashed=False))
                except FileNotFoundError:
                    continue
                except _DamagedError:
                    damaged += 1
            keys = np.concatenate([np.zeros(0, "S32"), *(shard.keys for shard in shards)])
            info = ShelfInfo(
                kind=folder.parent.name,
                key=folder.name,
                recipe=_recipe_of(folder, shards),
                rows=len(np.unique(keys)),
                shards=len(shards),
                bytes=sum(shard.signature[0] for shard in shards),
                damaged=damaged + bool(_wrong_recipe(folder, folder.name)),
            )
            infos.append(info)
        return infos

    @_in_one_line
    def verify(self) -> Verified:
        """Hash every shard again and move the damaged ones to quarantine.

        A recipe.json that is damaged or of another recipe is moved too, and written again from the shards.
        """
        n_shards, n_bytes, damaged = 0, 0, []
        for folder in self._folders():
            wrong = _wrong_recipe(folder, folder.name)
            if wrong:
                damaged.append(_quarantine(folder / "recipe.json", _DamagedError(wrong)))
            shards = []
            for path in sorted(_signatures(folder)):
                try:
                    shards.append(_open_shard(path, folder.parent.name, folder.name))
                except FileNotFoundError:
                    continue
                except _DamagedError as damage:
                    damaged.append(_quarantine(path, damage))
            if shards and not (folder / "recipe.json").exists():
                _write_recipe(folder, shards[0].recipe)
            n_shards += len(shards)
            n_bytes += sum(shard.signature[0] for shard in shards)
        return Verified(n_shards, n_bytes, tuple(damaged))

    @_in_one_line
    def gc(self, *, drop: Sequence[str] = (), keep: Sequence[str] | None = None) -> Freed:
        """Remove leftovers of dead writers, quarantine, and shards all of whose rows stand in others.

        It may run beside an extraction.

        Args:
            drop: keys of whole shelves to remove, at least their first 16 digits.
            keep: keys of the only shelves to keep; all where None.

        Raises:
            StoreError: no shelf has that key, or the folder cannot be written.
        """
        folders = self._folders()
        known = {folder.name for folder in folders}
        strange = [key for key in (*drop, *(keep or ())) if key[:16] not in known]
        if strange:
            raise StoreError(
                f"No shelf has the key {strange[0]}. Known: {', '.join(sorted(known)) or 'none'}."
            )
        dropped = {key[:16] for key in drop}
        if keep is not None:
            dropped |= known - {key[:16] for key in keep}
        removed: list[tuple[Path, int]] = []
        with self._alone():
            removed += [_remove(path) for path in _unfinished(self.root) if _is_left(path)]
            for folder in folders:
                if folder.name in dropped:
                    removed += _remove_tree(folder)
                    continue
                removed += [_remove(path) for path in _unfinished(folder) if _is_left(path)]
                removed += _remove_tree(folder / "quarantine")
                removed += [_remove(path) for path in _redundant(folder)]
        return Freed(tuple(path for path, _ in removed), sum(size for _, size in removed))

    @_in_one_line
    def keys_on(self, shelf: ShelfInfo) -> NDArray[np.uint8]:
        """Return the key of every row that a shelf's files hold now, shape (n_rows, 32), increasing.

        Raises:
            StoreError: a shard is not what it says, so that nobody knows what it holds.
        """
        keys = [shard.keys for shard in self._shards_of(shelf)]
        return np.unique(np.concatenate([np.zeros(0, "S32"), *keys])).view(np.uint8).reshape(-1, 32)

    @_in_one_line
    def forget(self, shelf: ShelfInfo, row_keys: RowKeys) -> None:
        """Take rows from a shelf, so that no byte of theirs stays in its files.

        A shard that holds some is written anew without them before it goes: a kill loses no other row, and
        forget() can be run again. The other rows stay equal to the last bit.

        Args:
            shelf: from shelves().
            row_keys: shape (n_rows, 32); those that are not there are passed over.

        Raises:
            StoreError: a shard is not what it says, or the folder cannot be written.
        """
        gone = _as_keys(row_keys)
        with self._alone():
            for shard in self._shards_of(shelf):
                stay = np.flatnonzero(~np.isin(shard.keys, gone))
                if len(stay) == len(shard.keys):
                    continue
                if len(stay):
                    columns = _columns_of(shard, stay)
                    _write_shard(shard.path.parent, shard.kind, shard.recipe, shard.keys[stay], columns)
                shard.path.unlink()
                sync_folder(shard.path.parent)

    @_in_one_line
    def clear_quarantine(self) -> None:
        """Remove every damaged file that was put aside."""
        with self._alone():
            for folder in self.quarantines():
                shutil.rmtree(folder)

    @_in_one_line
    def quarantines(self) -> list[Path]:
        """Return the folders that hold damaged files."""
        return [folder / "quarantine" for folder in self._folders() if (folder / "quarantine").is_dir()]

    def _shards_of(self, shelf: ShelfInfo) -> "Iterator[_Shard]":
        for path in sorted(_signatures(self.root / shelf.kind / shelf.key)):
            try:
                yield _open_shard(path, shelf.kind, shelf.key, hashed=False)
            except FileNotFoundError:
                continue
            except _DamagedError as damage:
                raise StoreError(f"{path} {damage}. Put it aside: featurekit cache verify") from damage

    def _folders(self) -> list[Path]:
        return [
            folder
            for kind in _entries(self.root)
            if kind.is_dir()
            for folder in _entries(kind)
            if re.fullmatch("[0-9a-f]{16}", folder.name) and folder.is_dir()
        ]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one gc run at a time: two could each remove the other's copy of a row."""
        if not self.root.is_dir():
            yield
            return
        descriptor = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        except OSError as error:
            raise StoreError(f"Cannot clean {self.root}: {error.strerror or error}.") from error
        finally:
            os.close(descriptor)


class FileIndex:
    """Remembers the hash of each file's bytes, so that an unchanged file need not be read.

    It is a convenience in a SQLite file: whatever happens to that file (damaged, locked,
    read-only), the hashes are computed again and nothing else. A wrong hash would be a
    wrong face, so a file is trusted only if its size, both times and its inode are what
    they were, and was left in peace for two seconds before it was read: within that time
    a clock may be too coarse to show another change.

    Use it as a context, or call close(), to keep what was learned.

    Args:
        path: the SQLite file; made when it is not there.
    """

    PEACE = 2 * 10**9  # nanoseconds
    BATCH = 2000  # files remembered in one transaction
    PATIENCE = 5.0  # seconds to wait for another process that writes

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._fresh: dict[bytes, tuple[str, str]] = {}
        self._database: sqlite3.Connection | None = None
        try:
            _make_private_folder(path.parent)
            self._database = self._open()
        except sqlite3.OperationalError:  # locked or read-only: somebody else's good file
            return
        except sqlite3.DatabaseError:
            self._start_again()
        except (StoreError, OSError):  # no place to write
            return

    def __enter__(self) -> "FileIndex":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def known(self, path: Path) -> str | None:
        """Return the hash of a file that has not changed since it was hashed, else None."""
        try:
            status = path.stat()
        except OSError:
            return None
        name, signature = os.fsencode(path.absolute()), _said(status)
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
        """Remember the hash of a file that was read just now.

        Args:
            path: the file.
            status: what stat said before it was read.
            sha256: of its bytes, in hex.
        """
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < self.PEACE:
            return
        try:
            if _said(path.stat()) != _said(status):
                return  # it changed while it was read
        except OSError:
            return
        with self._lock:
            self._fresh[os.fsencode(path.absolute())] = (_said(status), sha256)
            if self._database and len(self._fresh) >= self.BATCH:
                self._commit()

    def content_of(self, path: Path) -> str:
        """Return the sha256 of a file's bytes in hex, read only where it is not known.

        Raises:
            OSError: the file cannot be read.
        """
        known = self.known(path)
        if known is not None:
            return known
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would never end
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        with path.open("rb", buffering=0) as file:
            content = _hash(file)
        self.remember(path, status, content)
        return content

    def named(self, paths: Sequence[Path], contents: Sequence[str]) -> int:
        """Return how many files are remembered that lie at these paths, or have one of these hashes.

        Raises:
            StoreError: another process has the index, or it cannot be read.
        """
        with self._given(paths, contents) as database:
            found = database.execute("SELECT count(*) FROM files_1 WHERE path IN given OR sha256 IN given")
            return int(found.fetchone()[0])

    def forget(self, paths: Sequence[Path], contents: Sequence[str]) -> None:
        """Remove files by path or by hash, so that no byte of theirs stays in the index.

        Raises:
            StoreError: another process has the index, or it cannot be written.
        """
        with self._given(paths, contents) as database:
            # What went earlier may still lie in free pages, which VACUUM leaves behind; what goes now is
            # overwritten with zeros. In this order a kill in between leaves rows to be found again.
            database.execute("VACUUM")
            database.execute("PRAGMA secure_delete = ON")
            with database:
                database.execute("DELETE FROM files_1 WHERE path IN given OR sha256 IN given")

    @contextmanager
    def _given(self, paths: Sequence[Path], contents: Sequence[str]) -> Iterator[sqlite3.Connection]:
        """Open the index with these names in a table beside it, which is never written to the disk."""
        names = [(os.fsencode(path.absolute()),) for path in paths] + [(content,) for content in contents]
        with self._lock:
            if self._database:
                self._commit()
            try:
                if self._database is None:
                    raise sqlite3.OperationalError("it is in use, or is not ours to write")
                self._database.execute("PRAGMA temp_store = MEMORY")
                self._database.execute("CREATE TEMP TABLE IF NOT EXISTS given (name PRIMARY KEY)")
                with self._database:
                    self._database.execute("DELETE FROM given")
                    self._database.executemany("INSERT OR IGNORE INTO given VALUES (?)", names)
                yield self._database
            except sqlite3.Error as error:
                raise StoreError(
                    f"Cannot change {self._path}: {error}. End whatever else runs in this workspace, or"
                    " delete the file: it is made again."
                ) from error

    def close(self) -> None:
        """Write what was learned and let go of the file."""
        with self._lock:
            if self._database:
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
        """Put a new file in the place of one that is no index."""
        try:
            for end in ("", "-journal", "-wal", "-shm"):
                self._path.with_name(self._path.name + end).unlink(missing_ok=True)
            self._database = self._open()
        except (sqlite3.Error, OSError):
            self._database = None

    def _commit(self) -> None:
        assert self._database
        rows = [
            (name, signature, content, _seal(name, signature, content))
            for name, (signature, content) in self._fresh.items()
        ]
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO files_1 VALUES (?, ?, ?, ?)", rows)
            self._fresh.clear()
        except sqlite3.Error as error:
            self._give_up(error)

    def _give_up(self, error: sqlite3.Error) -> None:
        """Go on with a new file where this one is malformed, in memory where it is locked or read-only."""
        database, self._database = self._database, None
        if database:
            database.close()
        if not isinstance(error, sqlite3.OperationalError):
            self._start_again()


def _said(status: os.stat_result) -> str:
    # As text: SQLite's integers end at 2**63, some file systems' inodes do not.
    return " ".join(map(str, _signature(status)))


def _seal(name: bytes, signature: Any, content: Any) -> bytes:
    """Return a check of one row of the index: SQLite does not notice a flipped bit in a value."""
    return blake2b(repr((name, signature, content)).encode(), digest_size=8).digest()


# What to do about a shelf that cannot be used, with its key.
_REMOVE = "Remove it: featurekit cache gc --drop {key}"

# Size, times and inode: what changes when a file is written again.
_Signature = tuple[int, int, int, int]


class _DamagedError(Exception):
    """A file of the store is not what it says; the message says why."""


@dataclass(frozen=True)
class _Column:
    """Where a column lies in a shard.

    Attributes:
        dtype: little-endian.
        shape: of one row.
        start: its first byte in the file.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int


@dataclass(frozen=True)
class _Shard:
    """What is kept in memory of one shard.

    Attributes:
        path: its file.
        signature: of the file when it was looked at.
        kind: of its shelf.
        recipe: what the rows were made by.
        keys: shape (n_rows,), 32 bytes each.
        columns: without the keys.
    """

    path: Path
    signature: _Signature
    kind: str
    recipe: Mapping[str, Any]
    keys: NDArray[np.bytes_]
    columns: Mapping[str, _Column]


def _open_shard(path: Path, kind: str, key: str, *, hashed: bool = True) -> _Shard:
    """Look at a shard: its hash, whose it is, its keys and columns.

    Args:
        path: the shard.
        kind: of its shelf.
        key: of its shelf's recipe, or the beginning of it.
        hashed: whether all of it is read and compared with its name.

    Raises:
        FileNotFoundError: it has just been removed.
        StoreError: it cannot be read.
        _DamagedError: it is not what it says.
    """
    try:
        with path.open("rb", buffering=0) as file:
            signature = _signature(os.fstat(file.fileno()))
            if hashed and _hash(file) != path.stem:
                raise _DamagedError("is not what was written: its hash is not its name")
            file.seek(0)
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > signature[0]:
                raise _DamagedError("is no safetensors file")
            header = start + file.read(length)
            shard = _parse_shard(path, signature, header, signature[0], file)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.EIO:  # the disk lost a part of it
            raise _DamagedError(f"cannot be read: {error.strerror}") from error
        raise StoreError(f"Cannot read {path}: {error.strerror or error}.") from error
    said_key = recipe_key(shard.recipe)
    if shard.kind != kind or not said_key.startswith(key):
        raise _DamagedError(f"belongs to another recipe ({shard.kind}/{said_key[:16]})")
    return shard


def _parse_shard(
    path: Path, signature: _Signature, header: bytes, size: int, file: IO[bytes] | None = None
) -> _Shard:
    """Return what a shard says about itself.

    Args:
        path: the shard.
        signature: of its file.
        header: the file's beginning, at least up to the first column.
        size: of the whole file, in bytes.
        file: where the keys are read from; from header where None.
    """
    try:
        first = 8 + int.from_bytes(header[:8], "little")
        entries = json.loads(header[8:first])
        said = json.loads(entries.pop("__metadata__")["featurekit"])
        if said["version"] != STORE_VERSION:
            raise _DamagedError(f"was written by version {said['version']} of the store")
        n_rows = int(entries[ROW_KEY]["shape"][0])
        columns, end = {}, first
        for name, entry in entries.items():
            dtype, (rows, *shape) = DTYPES[entry["dtype"]], entry["shape"]
            start, stop = entry["data_offsets"]
            if rows != n_rows or stop - start != dtype.itemsize * int(np.prod((rows, *shape))):
                raise _DamagedError(f"has a column {name} of the wrong size")
            columns[name] = _Column(dtype, tuple(shape), first + start)
            end = max(end, first + stop)
        keys = columns.pop(ROW_KEY)
        recipe = dict(said["recipe"])
        recipe_key(recipe)  # refuses what no recipe can be
        str(said["kind"])
    except (ValueError, KeyError, TypeError, AttributeError, StoreError) as error:
        raise _DamagedError(f"is no shard of featurekit: {error}") from error
    if end != size or (keys.dtype, keys.shape) != (DTYPES["U8"], (32,)):
        raise _DamagedError("is no shard of featurekit: its size is not what its header says")
    data = header[keys.start : keys.start + 32 * n_rows]
    if file:
        file.seek(keys.start)
        data = file.read(32 * n_rows)
    return _Shard(path, signature, str(said["kind"]), recipe, np.frombuffer(data, "S32"), columns)


def _write_shard(
    folder: Path,
    kind: str,
    recipe: Mapping[str, Any],
    keys: NDArray[np.bytes_],
    columns: Mapping[str, NDArray[Any]],
) -> tuple[Path, bytes]:
    """Write one shard of rows whole; return where it is, and its bytes."""
    from safetensors.numpy import save

    tensors = {**columns, ROW_KEY: keys.view(np.uint8).reshape(-1, 32)}
    said = {"version": STORE_VERSION, "kind": kind, "recipe": recipe}
    # One entry: with several, safetensors writes them in an order that changes from run to run.
    data = save(tensors, {"featurekit": _canonical(said)})
    path = folder / f"{sha256(data).hexdigest()}.safetensors"
    with _private_file(path) as file:
        file.write(data)
    return path, data


def _columns_of(shard: _Shard, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    """Return every column of some rows of a shard, in increasing order."""
    columns = {}
    with shard.path.open("rb", buffering=0) as file:
        for name, column in shard.columns.items():
            columns[name] = np.empty((len(rows), *column.shape), column.dtype)
            try:
                _read_rows(file, column, rows, columns[name], np.arange(len(rows)))
            except _DamagedError as damage:
                raise StoreError(f"{shard.path} {damage}. Put it aside: featurekit cache verify") from damage
    return columns


def _read_rows(
    file: IO[bytes],
    column: _Column,
    rows: NDArray[np.intp],
    answer: NDArray[Any],
    positions: NDArray[np.intp],
) -> None:
    """Read rows of one column, in increasing order, into their positions of the answer, a block at a time."""
    row_bytes = column.dtype.itemsize * int(np.prod(column.shape))
    step = max(1, BLOCK // max(1, row_bytes))
    done = 0
    while done < len(rows):
        first = int(rows[done])
        stop = int(np.searchsorted(rows, first + step))
        block = np.empty(((int(rows[stop - 1]) + 1 - first), *column.shape), column.dtype)
        # Read, not mapped: a map of a file that another process cuts short would kill this one.
        file.seek(column.start + first * row_bytes)
        if block.nbytes and file.readinto(block.data.cast("B")) != block.nbytes:  # type: ignore[attr-defined]
            raise _DamagedError("ends too early")
        answer[positions[done:stop]] = block[rows[done:stop] - first]
        done = stop


def _as_keys(row_keys: RowKeys) -> NDArray[np.bytes_]:
    """Return keys as an array of 32 bytes each, shape (n_rows,)."""
    if not isinstance(row_keys, np.ndarray):
        if any(len(key) != 32 for key in row_keys):
            raise StoreError("A row key must have 32 bytes.")
        row_keys = np.frombuffer(b"".join(row_keys), np.uint8).reshape(-1, 32)
    if row_keys.dtype != np.uint8 or row_keys.ndim != 2 or row_keys.shape[1] != 32:
        raise StoreError(f"Row keys must be uint8 (n_rows, 32), not {row_keys.dtype} {row_keys.shape}.")
    return np.ascontiguousarray(row_keys).view("S32").ravel()


def _hex(key: np.bytes_) -> str:
    # numpy drops zeros at the end of a scalar of bytes.
    return bytes(key).ljust(32, b"\0").hex()


def _describe(columns: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]) -> str:
    return ", ".join(f"{name} {dtype} {shape}" for name, (dtype, shape) in sorted(columns.items())) or "none"


def _signature(status: os.stat_result) -> _Signature:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder, by name; nothing where there is none.

    Path.glob() would find nothing in a folder that may not be read either, and who is to be forgotten could
    be in there.
    """
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _unfinished(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if is_unfinished(path)]


def _signatures(folder: Path) -> dict[Path, _Signature]:
    """Return the shards in a folder; none where there is no folder."""
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".safetensors") and not entry.name.startswith("."):
                    try:
                        found[folder / entry.name] = _signature(entry.stat())
                    except FileNotFoundError:
                        continue
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f"Cannot read {folder}: {error.strerror or error}.") from error
    return found


def _hash(file: IO[bytes]) -> str:
    digest = sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _quarantine(path: Path, why: _DamagedError) -> Damage:
    """Move a file to where nobody reads it; where that cannot be done it is left and still not served."""
    aside = path.parent / "quarantine" / path.name
    try:
        _make_private_folder(aside.parent)
        path.replace(aside)
    except (OSError, StoreError):
        pass
    return Damage(path, str(why))


def _make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are not there, for the user alone."""
    try:
        make_folder(folder, 0o700)
        if not folder.is_dir():
            raise StoreError(f"{folder} is not a folder. Move it away or choose another place.")
    except OSError as error:
        raise StoreError(f"Cannot make {folder}: {error.strerror or error}.") from error


@contextmanager
def _private_file(path: Path) -> Iterator[BinaryIO]:
    """Write a whole file that only the user may read."""
    with whole_file(path) as file:
        os.fchmod(file.fileno(), 0o600)
        yield file


def _write_recipe(folder: Path, recipe: Mapping[str, Any]) -> None:
    with _private_file(folder / "recipe.json") as file:
        file.write(json.dumps(recipe, indent=2, sort_keys=True).encode() + b"\n")


def _wrong_recipe(folder: Path, key: str) -> str:
    """Return what is wrong with a folder's recipe.json, "" where nothing is or where it is not there."""
    try:
        found = recipe_key(json.loads((folder / "recipe.json").read_bytes()))
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except (ValueError, TypeError, StoreError):
        return "is damaged"
    return "" if found.startswith(key) else f"is of another recipe ({found[:16]})"


def _recipe_of(folder: Path, shards: Sequence[_Shard]) -> Mapping[str, Any]:
    """Return the recipe of a folder from whatever still says it."""
    if shards:
        return shards[0].recipe
    if _wrong_recipe(folder, folder.name) or not (folder / "recipe.json").exists():
        return {}
    recipe: dict[str, Any] = json.loads((folder / "recipe.json").read_bytes())
    return recipe


def _is_left(path: Path) -> bool:
    """Return whether an unfinished file has no writer any more."""
    writer = writer_of(path)
    try:
        quiet = time.time() - path.stat().st_mtime
    except OSError:
        return False
    if writer is None or quiet < LEFT_ALONE:
        return False
    # The number may belong to a newer process by now.
    return not is_running(writer) or quiet > 86400


def _redundant(folder: Path) -> list[Path]:
    """Return shards of a shelf that can go since every row of theirs stays in another, smallest first."""
    shards = []
    for path, _ in sorted(_signatures(folder).items(), key=lambda item: (item[1][0], item[0])):
        try:
            shards.append(_open_shard(path, folder.parent.name, folder.name))
        except (_DamagedError, FileNotFoundError):
            continue
    if len(shards) < 2:
        return []
    sizes = [len(shard.keys) for shard in shards]
    _, row, copies = np.unique(
        np.concatenate([shard.keys for shard in shards]), return_inverse=True, return_counts=True
    )
    redundant = []
    for shard, rows in zip(shards, np.split(row, np.cumsum(sizes)[:-1]), strict=True):
        if (copies[rows] > 1).all():
            copies[rows] -= 1
            redundant.append(shard.path)
    return redundant


def _remove(path: Path) -> tuple[Path, int]:
    """Remove a file and return it with its size; somebody else may have been quicker."""
    try:
        size = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return path, 0
    return path, size


def _remove_tree(folder: Path) -> list[tuple[Path, int]]:
    """Remove a folder with what is in it and return its files with their sizes."""
    if not folder.is_dir():
        return []
    files = [(path, path.stat().st_size) for path in sorted(folder.rglob("*")) if path.is_file()]
    shutil.rmtree(folder)
    return files
