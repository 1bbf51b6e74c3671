"""Which columns of a manifest identify somebody, which are class targets, and which target a run predicts."""

import re

from featurekit.data.manifest import COLUMNS, Manifest
from featurekit.data.targets import TARGETS, Target
from featurekit.text import words_of

# A column identifies users, images or the like if its name has one of these words, and if all its other
# words are fillers.
_IDENTITIES = re.compile(
    "user|owner|account|uploader|photographer|album|photo|photograph|picture|image|person|people|subject"
    "|individual|identity|family|patient|session|video|clip|film|movie|scene"
)
_FILLERS = re.compile("ids?|name|number|no|nr|key|u?uid|original|source|file|path")
MOST_LABELS = 24  # a column with more labels is not a class target


def names_identity(column: str) -> bool:
    """Whether the name of a user's own column says that it identifies users, images or the like.

    >>> [names_identity(name) for name in ("user_id", "originalImage", "image_quality", "id", "race")]
    [True, True, False, False, False]
    """
    words = words_of(column)
    return (
        column not in COLUMNS
        and any(map(_IDENTITIES.fullmatch, words))
        and all(_IDENTITIES.fullmatch(word) or _FILLERS.fullmatch(word) for word in words)
    )


def target_of(manifest: Manifest, run: str) -> Target | None:
    """Return the target of a run, whose name begins with that of its target."""
    names = [
        name
        for name in manifest.table.columns
        if (name in TARGETS or name not in COLUMNS) and run.startswith(f"{name}--")
    ]
    return manifest.target(max(names, key=len)) if names else None


def class_targets(manifest: Manifest) -> list[Target]:
    """Return every class target: the known ones, and columns of the user's own with few labels."""
    own = [name for name in manifest.table.columns if name not in COLUMNS and not names_identity(name)]
    found = [manifest.target(name) for name in dict.fromkeys((*TARGETS, *own)) if name in manifest.table]
    return [target for target in found if 2 <= len(target.classes) <= MOST_LABELS]
