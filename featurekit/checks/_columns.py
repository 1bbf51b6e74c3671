"""Which columns of a manifest name identities, which are targets of classes, and which a run has read."""

import re

from featurekit.data.manifest import COLUMNS, Manifest
from featurekit.data.targets import TARGETS, Target
from featurekit.errors import TargetError
from featurekit.text import words_of

# A column is an identity where its name is made of these words, and of words that say nothing.
_IDENTITIES = re.compile(
    "user|owner|account|uploader|photographer|album|photo|photograph|picture|image|person|people|subject"
    "|individual|identity|family|patient|session|video|clip|film|movie|scene"
)
_FILLERS = re.compile("ids?|name|number|no|nr|key|u?uid|original|source|file|path")
MOST_LABELS = 24  # of a column that is looked at class by class


def names_identity(column: str) -> bool:
    """Whether a column of the user's own is called like a user, a photograph or the like.

    >>> [names_identity(name) for name in ("user_id", "originalImage", "image_quality", "id", "race")]
    [True, True, False, False, False]
    """
    if column in COLUMNS:
        return False
    words = words_of(column)
    named = [bool(_IDENTITIES.fullmatch(word)) for word in words]
    return any(named) and all(
        is_named or _FILLERS.fullmatch(word) for word, is_named in zip(words, named, strict=True)
    )


def columns_of(manifest: Manifest) -> list[str]:
    """Return the names of all columns."""
    return [str(name) for name in manifest.table.columns]


def target_of(manifest: Manifest, run: str) -> Target | None:
    """Return the target of a run, whose name begins with it."""
    names = [name for name in columns_of(manifest) if run.startswith(f"{name}--")]
    for name in sorted(names, key=len, reverse=True):
        try:
            return manifest.target(name)
        except TargetError:
            continue
    return None


def class_targets(manifest: Manifest) -> list[Target]:
    """Return every target of classes: the known ones, and columns of the user's own with few labels."""
    own = [name for name in columns_of(manifest) if name not in COLUMNS and not names_identity(name)]
    names = [name for name in TARGETS if name in manifest.table] + [
        name for name in own if name not in TARGETS
    ]
    found = [manifest.target(name) for name in names]
    return [target for target in found if 2 <= len(target.classes) <= MOST_LABELS]
