"""The error of predicted ages, for people of each age."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from featurekit.evaluation.confidence import AGE_BANDS, age_bands
from featurekit.evaluation.estimates import Estimate, mean_of_faces
from featurekit.uncertainty.intervals import FEWEST


@dataclass(frozen=True, kw_only=True)
class AgeError:
    """The errors of one model for the ages of one band.

    Attributes:
        band: of the true age, one of AGE_BANDS.
        n_faces, n_subjects: how many there are.
        error: mean absolute error in years; None of fewer than FEWEST subjects.
        bias: mean of predicted minus true age in years, above 0 if people are predicted to be older; None
            like error.
    """

    band: str
    n_faces: int
    n_subjects: int
    error: Estimate | None
    bias: float | None


def age_errors(table: pd.DataFrame, seed: int) -> tuple[AgeError, ...]:
    """Return the errors of a model of years for each age band with a face, the youngest first.

    Args:
        table: the predictions of the model; see featurekit.evaluation.outcomes.
        seed: of the random number generator.
    """
    true, said = table["true"].to_numpy(float), table["predicted"].to_numpy(float)
    subjects, bands = table["subject"].to_numpy(), age_bands(true)
    found = []
    for band in (band for band in AGE_BANDS if band in bands):
        chosen = bands == band
        own, off = subjects[chosen], said[chosen] - true[chosen]
        n_subjects = len(np.unique(own))
        is_enough = n_subjects >= FEWEST
        found.append(
            AgeError(
                band=band,
                n_faces=int(chosen.sum()),
                n_subjects=n_subjects,
                error=mean_of_faces(np.abs(off), own, seed) if is_enough else None,
                bias=float(off.mean()) if is_enough else None,
            )
        )
    return tuple(found)
