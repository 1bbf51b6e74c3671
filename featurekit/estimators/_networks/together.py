"""Targets that one network learns together, because each helps to learn the others."""

from collections.abc import Sequence

from featurekit.data.targets import AGE, AGE_GROUP, GENDER, Target

TOGETHER = (AGE.name, AGE_GROUP.name, GENDER.name)


def together(target: Target) -> Sequence[str]:
    """Return the names of the targets that a network learns together with a target."""
    return [name for name in TOGETHER if name != target.name] if target.name in TOGETHER else []
