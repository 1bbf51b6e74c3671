"""Put damaged files aside, where they are served to nobody."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from featurekit.cache.storage import Storage
from featurekit.errors import StoreError

# Name of the folder beside a damaged file that it is moved to.
QUARANTINE = "quarantine"


@dataclass(frozen=True)
class Damage:
    """A file of the store that is not what it says.

    Attributes:
        path: where it was found; it has been moved to the quarantine folder beside it.
        why: what is wrong with it.
    """

    path: Path
    why: str


def put_aside(storage: Storage, path: Path, why: str) -> Damage:
    """Move a file to where nobody reads it; where that cannot be done it is left and still not served."""
    with suppress(OSError, StoreError):
        storage.move(path, path.parent / QUARANTINE / path.name)
    return Damage(path, why)
