"""The heads that come with dlib's networks, and the meaning of their outputs."""

import numpy as np

from featurekit.data.targets import AGE, AGE_GROUP, GENDER

# The ages of the outputs of dlib's age network, in years; the first is a child of some months.
YEARS = np.r_[0.25, np.arange(1.0, 81.0)]
# Target → the feature that predicts it.
HEADS = {
    AGE.name: "dlib_age:probabilities",
    AGE_GROUP.name: "dlib_age:probabilities",
    GENDER.name: "dlib_gender:probabilities",
}
