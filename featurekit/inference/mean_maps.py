"""Means of maps, in which no single face can be recognized.

A map over a face shows a person. Only mean maps, over the mean of MIN_FACES faces or
more, may be put in a report.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import TargetError
from featurekit.inference._covering import SIDE, scaled_to
from featurekit.inference.explain import Explanation

# The fewest faces whose mean may be shown.
MIN_FACES = 10


@dataclass(frozen=True, kw_only=True)
class MeanMap:
    """The mean map and the mean face of the faces with one prediction.

    Attributes:
        group: the prediction; see Explanation.group.
        n_faces: number of faces, at least MIN_FACES.
        how: one of WAYS.
        face: uint8, grey, shape (SIDE, SIDE, 3).
        heat: float32, shape (SIDE, SIDE), from 0 to 1.
    """

    group: str
    n_faces: int
    how: str
    face: NDArray[np.uint8]
    heat: NDArray[np.float32]


class MeanMaps:
    """Adds up explanations and returns means in which no single face can be recognized.

    A face that is added twice counts once. Different faces of one person cannot be told apart from faces of
    different people.
    """

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._sums: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros((2, SIDE, SIDE)))
        self._how = ""
        self.n_faces: Counter[str] = Counter()

    def add(self, one: Explanation) -> None:
        """Add a face to those with the same prediction."""
        key = sha256(one.face.tobytes()).digest()
        if key in self._seen:
            return
        self._seen.add(key)
        self._how = one.how
        self._sums[one.group] += np.stack([grey_of(one.face), one.heat])
        self.n_faces[one.group] += 1

    def maps(self) -> list[MeanMap]:
        """Return the means of the predictions that enough faces have, in the order in which these came.

        Raises:
            TargetError: no prediction has enough faces.
        """
        enough = [group for group, n in self.n_faces.items() if n >= MIN_FACES]
        if not enough:
            raise TargetError(f"No mean map was written. {self.refusal()}")
        return [
            MeanMap(
                group=group,
                n_faces=self.n_faces[group],
                how=self._how,
                face=as_rgb(self._sums[group][0] / self.n_faces[group]),
                heat=scaled_to(self._sums[group][1], SIDE),
            )
            for group in enough
        ]

    def refusal(self) -> str:
        """Return in words which predictions have too few faces; "" if all have enough."""
        few = [f"{group}: {n}" for group, n in self.n_faces.items() if n < MIN_FACES]
        if not few:
            return ""
        return (
            f"Not enough faces ({', '.join(few)}; at least {MIN_FACES} are needed), because no single"
            " person may be recognizable in a mean."
        )


def grey_of(face: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return how bright each pixel looks, shape (s, s)."""
    return np.asarray(face @ np.array([0.299, 0.587, 0.114]))


def as_rgb(grey: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a grey image, shape (s, s), with three equal channels."""
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)
