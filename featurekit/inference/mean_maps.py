"""Means of maps in which no single face can be recognized.

A map over a face shows a person. Only mean maps, over the mean of MIN_FACES faces or
more, may stand in a report.
"""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import TargetError
from featurekit.inference._covering import SIDE, scaled_to
from featurekit.inference.explain import Explanation

# Faces of a class from which on their mean may be shown.
MIN_FACES = 10


@dataclass(frozen=True, kw_only=True)
class MeanMap:
    """The mean map of the faces with one answer, over their mean.

    Attributes:
        group: the answer; see Explanation.group.
        n_faces: how many, MIN_FACES at least.
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
    """Adds up explanations, one by one, and gives means in which no single face can be recognized.

    A face that comes twice counts once. Whether the faces are of as many persons it cannot know.
    """

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._sums: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        self._how = ""
        self.n_faces: dict[str, int] = {}

    def add(self, one: Explanation) -> None:
        """Add a face to those with the same answer."""
        key = sha256(one.face.tobytes()).digest()
        if key in self._seen:
            return
        self._seen.add(key)
        self._how = one.how
        nothing = np.zeros((SIDE, SIDE))
        faces, heats = self._sums.get(one.group, (nothing, nothing))
        self._sums[one.group] = (faces + grey_of(one.face), heats + one.heat)
        self.n_faces[one.group] = self.n_faces.get(one.group, 0) + 1

    def maps(self) -> list[MeanMap]:
        """Return the means of the answers that enough faces have, in the order in which they came.

        Raises:
            TargetError: no answer has enough.
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
        """Return in words which answers too few faces have; "" where all have enough."""
        few = [f"{group}: {n}" for group, n in self.n_faces.items() if n < MIN_FACES]
        if not few:
            return ""
        return (
            f"Not enough faces ({', '.join(few)}; at least {MIN_FACES} are needed), because no single"
            " person may be recognizable in a mean."
        )


def grey_of(face: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return how bright each pixel looks, shape (s, s)."""
    grey: NDArray[np.float64] = face @ np.array([0.299, 0.587, 0.114])
    return grey


def as_rgb(grey: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a grey picture, shape (s, s), with three equal channels."""
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)
