"""Which heads came with dlib's networks, and what their outputs stand for."""

import numpy as np

from featurekit.data.targets import AGE, AGE_GROUP, GENDER, Target

# What the outputs of dlib's age network stand for; the first is a child of some months.
YEARS = np.r_[0.25, np.arange(1.0, 81.0)]
HEADS = {
    AGE.name: "dlib_age:probabilities",
    AGE_GROUP.name: "dlib_age:probabilities",
    GENDER.name: "dlib_gender:probabilities",
}


def head_of(target: Target) -> str | None:
    """Return the feature that a target is read from; None where no head gives it."""
    return HEADS.get(target.name)
