"""Put damaged files aside, where they are served to nobody."""

from dataclasses import dataclass
from pathlib import Path

from featurekit.cache.shard import DamagedError
from featurekit.cache.storage import make_private_folder
from featurekit.errors import StoreError


@dataclass(frozen=True)
class Damage:
    """A file of the store that is not what it says.

    Attributes:
        path: where it was found; it has been moved to the quarantine folder beside it.
        why: what is wrong with it.
    """

    path: Path
    why: str


def put_aside(path: Path, why: DamagedError) -> Damage:
    """Move a file to where nobody reads it; where that cannot be done it is left and still not served."""
    aside = path.parent / "quarantine" / path.name
    try:
        make_private_folder(aside.parent)
        path.replace(aside)
    except (OSError, StoreError):
        pass
    return Damage(path, str(why))
