"""Explain predictions by maps that show which parts of the face they depend on.

There are three methods; _maps.py describes them. Grad-CAM and attention use values inside a network.
Occlusion works for any model: it predicts many times, each time with another part of the face covered.

A map may be wrong, so each map is checked: the tenth of the face that is most important in the map is
blurred, and the change of the prediction is compared with the change when random tenths are blurred.

A map that is drawn over a face shows a person who can be recognized. Only mean maps, which are drawn over the
mean of at least MIN_FACES faces, may be put in a report.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.embeddings.open_networks import open_networks
from featurekit.errors import FeaturekitError, ImageError, ModelError, TargetError, UnknownNameError
from featurekit.faces.align import LANDMARKS
from featurekit.faces.face import STATUS_MEANINGS
from featurekit.faces.find import Seen, cut_out, in_reading_order, open_finder, see_faces
from featurekit.faces.images import ImageData
from featurekit.faces.photographs import Photograph, as_photograph
from featurekit.files import fresh_name
from featurekit.inference._maps import (
    SIDE,
    TEMPLATE,
    FaceCrops,
    Loss,
    Reader,
    attention,
    check,
    gradcam,
    last_maps,
    occlusion,
    scaled_to,
)
from featurekit.inference.looking import Unexpected
from featurekit.inference.model import TrainedModel
from featurekit.networks.engines import usable_cores
from featurekit.progress import Progress
from featurekit.registry import unknown

# Every method, with its name in captions.
WAYS: Mapping[str, str] = {"gradcam": "Grad-CAM", "attention": "attention", "occlusion": "occlusion"}

# The fewest faces whose mean may be shown.
MIN_FACES = 10


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A map of the pixels that the prediction for one face depends on.

    Attributes:
        photograph: the image.
        number: number of the face on the image, from 1, left to right.
        name: name for a file about this face; all faces of one call have different names.
        answer: the most probable class, or "years" for a regression target.
        value: the probability of the class before calibration, or the predicted number.
        how: the method, one of WAYS.
        face: the cropped face, uint8, shape (SIDE, SIDE, 3).
        heat: the map: how much the prediction depends on each pixel, from 0 to 1; all 0 if it depends on no
            pixel. float32, shape (SIDE, SIDE).
        loss: the result of the check: how much the prediction changes when parts of the face are blurred.
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
        """The prediction in words, e.g. "female 97 %" or "34 years"."""
        return f"{self.value:.0f} years" if self.answer == "years" else f"{self.answer} {self.value:.0%}"

    @property
    def group(self) -> str:
        """The group of faces for mean maps: the predicted class, or ten years, e.g. "30-39 years"."""
        if self.answer != "years":
            return self.answer
        first = 10 * int(self.value // 10)
        return f"{first}-{first + 9} years"


@dataclass(frozen=True)
class Unexplained:
    """An image, or one face on it, for which no explanation can be made.

    Attributes:
        photograph: the image.
        message: the reason.
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
    """Find the faces on images and explain the prediction of a model for each face.

    Args:
        photographs: the images; a Path stands for the file.
        model: the model.
        how: the method, one of WAYS, or "auto": attention for networks with attention masks, Grad-CAM for
            other networks that were trained end to end, occlusion for all other models.
        choose: which faces to use if an image has several: "all" or a name in
            featurekit.faces.settings.CHOICES.
        device: "auto", "cpu" or "cuda".
        threads: number of threads; 0 for one per core.
        seed: seed of the random tenths that the check blurs.
        progress: callback that is called with (number of images done, number of all images).

    Raises:
        UnknownNameError: how is not the name of a method.
        ModelError: the method does not work for the model, or the model needs embeddings that this version of
            featurekit does not compute.
    """
    if how not in ("auto", *WAYS):
        raise UnknownNameError(unknown("method", how, ["auto", *WAYS]))
    model.check_version(device)
    looker = _Looker(model, how, choose=choose, threads=threads or usable_cores(), seed=seed)
    unexpected = Unexpected()
    for done, photograph in enumerate(map(as_photograph, photographs), start=1):
        try:
            found = list(looker.look(photograph))
            unexpected.has_read = True
        except ImageError as error:
            found = [Unexplained(photograph, str(error))]
            unexpected.has_read = True
        except FeaturekitError:
            raise
        except Exception as error:
            found = [Unexplained(photograph, unexpected.told(error))]
        yield from found
        if progress:
            progress(done, len(photographs))


class _Looker:
    """Finds the faces on one image after the other, and explains the prediction for each."""

    def __init__(self, model: TrainedModel, how: str, *, choose: str, threads: int, seed: int) -> None:
        self._reader = Reader(model, open_networks(model.recipes, threads))
        self._how, self._make_heat = _way(self._reader, how)
        self._finder = open_finder(model.settings, threads=threads)
        self._settings = replace(model.settings, choose=choose)
        self._seed = seed
        self._names: set[str] = set()

    def look(self, photograph: Photograph) -> Iterator[Explanation | Unexplained]:
        """Explain the prediction for each face on an image."""
        data = photograph.read()
        seen, _ = see_faces(data, self._finder, self._settings, self._reader.kinds)
        for number, one in enumerate(in_reading_order(seen), start=1):
            if one.face.status != "ok":
                yield Unexplained(photograph, STATUS_MEANINGS[one.face.status])
            else:
                yield self._explained(photograph, data, number, one)

    def _explained(self, photograph: Photograph, data: ImageData, number: int, one: Seen) -> Explanation:
        said = self._reader({kind: crop[None] for kind, crop in one.crops.items()})[0]
        best = int(said.argmax())
        heat = self._make_heat(one.crops, best)
        # A generator of its own for each explained face: the names count these faces.
        chance = np.random.default_rng([self._seed, len(self._names)])
        stem = photograph.stem if number == 1 else f"{photograph.stem}-{number}"
        target = self._reader.model.target
        return Explanation(
            photograph=photograph,
            number=number,
            name=fresh_name(stem, ".png", self._names).removesuffix(".png"),
            answer="years" if target.is_regression else target.classes[best],
            value=float(said[best]),
            how=self._how,
            # Cut out by itself, because a larger crop beside those of the networks changes their pixels.
            face=cut_out(data, one.face, (TEMPLATE, SIDE)),
            heat=scaled_to(heat, SIDE),
            loss=check(self._reader, one.crops, best, heat, chance),
        )


def median_loss(losses: Sequence[Loss]) -> Loss:
    """Return the medians of the checks of several faces."""
    return Loss(*map(float, np.median(np.array(losses), axis=0)))


# Crops of a face, number of the class → heat, of any square shape.
_MakeHeat = Callable[[FaceCrops, int], NDArray[Any]]


def _way(reader: Reader, how: str) -> tuple[str, _MakeHeat]:
    """Return the method to use, and the function that makes its maps."""
    # Imports scikit-learn, for which an error in an option of `featurekit predict` must not wait.
    from featurekit.estimators._networks.estimator import CNN

    model, cnn = reader.model, reader.model.estimator
    if isinstance(cnn, CNN) and how != "occlusion":
        if how != "gradcam" and hasattr(cnn.network_.body, "attention"):
            return "attention", lambda crops, number: attention(cnn, crops[reader.kinds[0]])
        if how != "attention" and (maps := last_maps(cnn)):
            return "gradcam", lambda crops, number: gradcam(cnn, maps, crops[reader.kinds[0]], number)
    if how in ("gradcam", "attention"):
        raise ModelError(
            f"{model.name} ({model.classifier}) cannot be explained with {WAYS[how]}, which needs a network"
            f" trained end to end that has {'a feature map' if how == 'gradcam' else 'attention masks'}."
            " occlusion works for every model."
        )
    _check_reads_pixels(reader)
    return "occlusion", lambda crops, number: occlusion(reader, crops, number)


def _check_reads_pixels(reader: Reader) -> None:
    """Raise ModelError for a model that reads no pixels, which no map can explain."""
    if reader.kinds == [LANDMARKS]:
        raise ModelError(
            f"{reader.model.name} ({reader.model.classifier}) reads only the landmarks of a face and none of"
            " its pixels, so no map can show which pixels its predictions depend on."
        )


class Occlusion:
    """Makes occlusion maps of one model, in the unit of its predictions, from crops of faces.

    Args:
        model: the model.
        device: "auto", "cpu" or "cuda".
        threads: number of threads; 0 for one per core.

    Attributes:
        kinds: template and side in pixels of each crop that the model reads.

    Raises:
        ModelError: the model reads no pixels, or needs embeddings that this version of featurekit does not
            compute.
        WeightsError: a weight file is missing.
        EngineError: a device is not available.
    """

    def __init__(self, model: TrainedModel, *, device: str = "auto", threads: int = 0) -> None:
        model.check_version(device)
        self._reader = Reader(model, open_networks(model.recipes, threads or usable_cores()))
        _check_reads_pixels(self._reader)
        self.kinds = tuple(self._reader.kinds)

    def __call__(self, crops: FaceCrops, number: int = 0) -> NDArray[np.float64]:
        """Return how much the prediction changes if a part of the face is covered, shape (CELLS, CELLS).

        Args:
            crops: crops of the face, one for each of kinds, each of shape (s, s, 3).
            number: number of the class whose probability is followed; 0 for a regression target.

        Returns:
            The probability that the class loses, or the absolute change of the years, in each cell of the
            crop of the template TEMPLATE; the mean over the covered squares that contain the cell.
        """
        return np.asarray(occlusion(self._reader, crops, number), np.float64)


@dataclass(frozen=True, kw_only=True)
class MeanMap:
    """The mean map and the mean face of all faces with the same prediction.

    Attributes:
        group: the prediction, as in Explanation.group.
        n_faces: number of faces, at least MIN_FACES.
        how: the method, one of WAYS.
        face: the mean face in grey, uint8, shape (SIDE, SIDE, 3).
        heat: the mean map, from 0 to 1, float32, shape (SIDE, SIDE).
    """

    group: str
    n_faces: int
    how: str
    face: NDArray[np.uint8]
    heat: NDArray[np.float32]


class MeanMaps:
    """Collects explanations and computes mean maps in which no single face can be recognized.

    A face that is added twice counts once. Different images of one person count as different faces.
    """

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._sums: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros((2, SIDE, SIDE)))
        self._how = ""
        self.n_faces: Counter[str] = Counter()

    def add(self, one: Explanation) -> None:
        """Add the map of a face to the mean for its prediction."""
        key = sha256(one.face.tobytes()).digest()
        if key in self._seen:
            return
        self._seen.add(key)
        self._how = one.how
        self._sums[one.group] += np.stack([grey_of(one.face), one.heat])
        self.n_faces[one.group] += 1

    def maps(self) -> list[MeanMap]:
        """Return a mean map for each prediction with at least MIN_FACES faces, in order of first occurrence.

        Raises:
            TargetError: no prediction has MIN_FACES faces.
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
        """Return a message about the predictions with too few faces; "" if all predictions have enough."""
        few = [f"{group}: {n}" for group, n in self.n_faces.items() if n < MIN_FACES]
        said = (
            f"Not enough faces ({', '.join(few)}; at least {MIN_FACES} are needed), because no single"
            " person may be recognizable in a mean map."
        )
        return said if few else ""


def grey_of(face: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the brightness of each pixel of an RGB image, shape (s, s)."""
    return np.asarray(face @ np.array([0.299, 0.587, 0.114]))


def as_rgb(grey: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a grey image of shape (s, s) as an RGB image with three equal channels."""
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)
