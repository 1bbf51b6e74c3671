"""Where a model looked: maps, over the face, of what its answer depends on.

There are three ways to look: Grad-CAM and attention ask a network itself, see
_maps_of_networks.py; occlusion asks any model, classical ones too, again and again
with another part of the face covered, see _covering.py.

A map is a hint, no proof. So each face comes with a check: what its answer loses when
the tenth that the map calls most important is blurred, and what when other tenths are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.embeddings.open_networks import open_networks
from featurekit.errors import FeaturekitError, ImageError, ModelError, UnknownNameError
from featurekit.estimators._networks.estimator import CNN
from featurekit.faces.face import STATUS_MEANINGS
from featurekit.faces.find import open_finder
from featurekit.faces.images import ImageData
from featurekit.faces.photographs import Photograph, as_photograph
from featurekit.faces.see import Seen, cut_out, in_reading_order, see_faces
from featurekit.files import fresh_name
from featurekit.inference._covering import (
    SIDE,
    TEMPLATE,
    FaceCrops,
    Loss,
    Reader,
    check,
    occlusion,
    scaled_to,
)
from featurekit.inference._maps_of_networks import attention, gradcam, last_maps
from featurekit.inference.looking import Unexpected
from featurekit.inference.model import TrainedModel
from featurekit.networks.engines import usable_cores
from featurekit.progress import Progress
from featurekit.registry import unknown

# Every way to look, as a caption names it.
WAYS: Mapping[str, str] = {"gradcam": "Grad-CAM", "attention": "attention", "occlusion": "occlusion"}


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What the answer for one face depends on.

    Attributes:
        photograph: which.
        number: of the face on it, from 1, left to right.
        name: for a file about this face; no two of one call have the same.
        answer: the most probable class, or "years".
        value: its probability, or the years.
        how: one of WAYS.
        face: uint8, shape (SIDE, SIDE, 3).
        heat: what the answer depends on, from 0 to 1, all 0 where it depends on nothing; float32, shape
            (SIDE, SIDE).
        loss: the check.
    """

    photograph: Photograph
    number: int
    name: str
    answer: str
    value: float
    how: str
    face: NDArray[np.uint8]
    heat: NDArray[np.float32]
    loss: Loss

    @property
    def said(self) -> str:
        """The answer in words: "female 97 %" or "34 years"."""
        return f"{self.value:.0f} years" if self.answer == "years" else f"{self.answer} {self.value:.0%}"

    @property
    def group(self) -> str:
        """What it is averaged with: faces of the same class, or of the same ten years."""
        if self.answer != "years":
            return self.answer
        first = 10 * int(self.value // 10)
        return f"{first}-{first + 9} years"


@dataclass(frozen=True)
class Unexplained:
    """A photograph, or a face on it, that there is nothing to say about.

    Attributes:
        photograph: which.
        message: why.
    """

    photograph: Photograph
    message: str


def explain_photographs(
    photographs: Sequence[Photograph | Path],
    model: TrainedModel,
    *,
    how: str = "auto",
    choose: str = "all",
    device: str = "auto",
    threads: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Iterator[Explanation | Unexplained]:
    """Find the faces on photographs and say where a model looked on each.

    Args:
        photographs: which; a Path stands for the file.
        model: whose answers.
        how: one of WAYS, or "auto": attention where a network has it, Grad-CAM for other networks trained end
            to end, occlusion for all else.
        choose: which faces of a photograph; "all" or a name of featurekit.faces.settings.CHOICES.
        device: "auto", "cpu" or "cuda".
        threads: how many; 0 for one a core.
        seed: what the check's random tenths come from.
        progress: called with (photographs done, photographs to do).

    Raises:
        UnknownNameError: there is no such way to look.
        ModelError: the model cannot be asked that way, or reads vectors that this version does not make.
    """
    if how not in ("auto", *WAYS):
        raise UnknownNameError(unknown("way to look", how, ["auto", *WAYS]))
    model.check_version(device)
    looker = _Looker(model, how, choose=choose, threads=threads or usable_cores(), seed=seed)
    unexpected = Unexpected()
    for done, one in enumerate(photographs, start=1):
        photograph = as_photograph(one)
        try:
            found = list(looker.look(photograph))
            unexpected.n_read += 1
        except ImageError as error:
            found = [Unexplained(photograph, str(error))]
            unexpected.n_read += 1
        except FeaturekitError:
            raise
        except Exception as error:
            found = [Unexplained(photograph, unexpected.told(error))]
        yield from found
        if progress:
            progress(done, len(photographs))


class _Looker:
    """Finds the faces on photographs, one after the other, and explains the answer for each."""

    def __init__(self, model: TrainedModel, how: str, *, choose: str, threads: int, seed: int) -> None:
        self._model = model
        self._reader = Reader(model, open_networks(model.recipes, threads))
        self._how, self._make_heat = _way(self._reader, how)
        self._finder = open_finder(model.settings, threads=threads)
        self._settings = replace(model.settings, choose=choose)
        self._seed = seed
        self._names: set[str] = set()
        self._n_explained = 0

    def look(self, photograph: Photograph) -> Iterator[Explanation | Unexplained]:
        """Explain the answer for each face on a photograph."""
        data = photograph.read()
        seen, _ = see_faces(data, self._finder, self._settings, self._reader.kinds)
        for number, one in enumerate(in_reading_order(seen), start=1):
            if one.face.status != "ok":
                yield Unexplained(photograph, STATUS_MEANINGS[one.face.status])
            else:
                yield self._explained(photograph, data, number, one)

    def _explained(self, photograph: Photograph, data: ImageData, number: int, one: Seen) -> Explanation:
        # Cut out by itself: a larger cut beside them would change what the networks are given.
        shown = cut_out(data, one.face, (TEMPLATE, SIDE))
        said = self._reader({kind: crop[None] for kind, crop in one.crops.items()})[0]
        best = int(said.argmax())
        heat = self._make_heat(one.crops, best)
        chance = np.random.default_rng([self._seed, self._n_explained])
        self._n_explained += 1
        stem = photograph.stem if number == 1 else f"{photograph.stem}-{number}"
        target = self._model.target
        return Explanation(
            photograph=photograph,
            number=number,
            name=fresh_name(stem, ".png", self._names).removesuffix(".png"),
            answer="years" if target.is_regression else target.classes[best],
            value=float(said[best]),
            how=self._how,
            face=shown,
            heat=scaled_to(heat, SIDE),
            loss=check(self._reader, one.crops, best, heat, chance),
        )


def median_loss(losses: Sequence[Loss]) -> Loss:
    """Return the medians over faces, of which there must be one at least."""
    important, random = np.median(np.array(losses), axis=0)
    return Loss(float(important), float(random))


# Crops of a face, number of the answer → heat, any square shape.
_MakeHeat = Callable[[FaceCrops, int], NDArray[Any]]


def _way(reader: Reader, how: str) -> tuple[str, _MakeHeat]:
    """Return a way to look and what makes its maps."""
    model, cnn = reader.model, reader.model.estimator
    if isinstance(cnn, CNN) and how != "occlusion":
        if how != "gradcam" and hasattr(cnn.network_.body, "attention"):
            return "attention", lambda crops, number: attention(cnn, crops[reader.kinds[0]])
        if how != "attention" and (maps := last_maps(cnn)):
            return "gradcam", lambda crops, number: gradcam(cnn, maps, crops[reader.kinds[0]], number)
    if how in ("gradcam", "attention"):
        what = "a feature map" if how == "gradcam" else "masks of its own"
        raise ModelError(
            f"{model.name} ({model.classifier}) cannot be explained with {WAYS[how]}, which needs a network"
            f" trained end to end that has {what}. occlusion works for every model."
        )
    return "occlusion", lambda crops, number: occlusion(reader, crops, number)
