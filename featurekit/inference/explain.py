"""Where a model looked: maps, over the face, of what its answer depends on.

Grad-CAM asks a network trained end to end which cells of its last feature map speak
for its answer (Selvaraju et al. 2017). Gradients are kept cell by cell instead of
averaged over the map (HiResCAM, Draelos & Carin 2020): that is the same where features
are means of the map, and still right where a dense layer reads it. Attention is what a
network with masks of its own lets through. Occlusion asks any model, classical ones
too, again and again with another part of the face covered.

A map is a hint, no proof. So each face comes with a check: what its answer loses when
the tenth that the map calls most important is blurred, and what when other tenths are.

A map over a face shows a person. Only mean maps, over the mean of MIN_FACES faces or
more, may stand in a report.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.embeddings.extractor import OpenBackbone, open_networks
from featurekit.errors import FeaturekitError, ImageError, ModelError, TargetError, UnknownNameError
from featurekit.estimators._networks.augmentation import NOTHING, changed
from featurekit.estimators._networks.estimator import CNN
from featurekit.estimators._networks.heads import Head
from featurekit.faces.detectors._frame import import_cv2
from featurekit.faces.find import STATUS_MEANINGS, TEMPLATES, CropKind, open_finder, see_faces, similarity
from featurekit.faces.images import read_bytes
from featurekit.files import fresh_name, whole_file
from featurekit.inference.model import TrainedModel, Unexpected, in_reading_order
from featurekit.networks.engines import usable_cores
from featurekit.networks.weights import home
from featurekit.progress import Progress
from featurekit.registry import unknown

if TYPE_CHECKING:
    import torch
    from PIL import Image

# The cut that maps are shown over, and its side in pixels.
TEMPLATE, SIDE = "imagenet", 224
# Every way to look, as a caption names it.
WAYS: Mapping[str, str] = {"gradcam": "Grad-CAM", "attention": "attention", "occlusion": "occlusion"}
# Faces of a class from which on their mean may be shown.
MIN_FACES = 10

# The shown cut is divided into so many cells each way: what is covered or blurred is made of them.
CELLS = 48
# The square that is slid over it, and how far from one place to the next.
_SQUARE, _STEP = 8, 4
_GREY = 127
# Cells a side that a feature map needs to say where in a face.
_MIN_CELLS = 3
# The check: share of the cells that is blurred, with what standard deviation in parts of the side, how often
# the tenth is drawn at random, and the side of the blocks that it is then made of.
_SHARE, _BLUR, _DRAWS, _BLOCK = 0.1, 0.06, 5, 8

# A face as each network is given it, once or changed in n ways: uint8, shape (s, s, 3) or (n, s, s, 3).
FaceCrops = Mapping[CropKind, NDArray[np.uint8]]
# A crop → what takes its place where it is replaced.
Replacement = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


class Loss(NamedTuple):
    """What an answer loses when a tenth of the face is blurred: probability; for years, how far they move.

    Attributes:
        important: with the tenth where the map is highest.
        random: with other tenths; the mean of some.
    """

    important: float
    random: float


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What the answer for one face depends on.

    Attributes:
        path: the photograph.
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

    path: Path
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
        path: the photograph.
        message: why.
    """

    path: Path
    message: str


def explain_photographs(
    paths: Sequence[Path],
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
        paths: photographs.
        model: whose answers.
        how: one of WAYS, or "auto": attention where a network has it, Grad-CAM for other networks trained end
            to end, occlusion for all else.
        choose: which faces of a photograph; "all" or a name of featurekit.faces.find.CHOICES.
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
    threads = threads or usable_cores()
    reader = _Reader(model, open_networks(model.recipes, threads))
    how, make_heat = _way(reader, how)
    finder = open_finder(model.settings, threads=threads)
    settings = replace(model.settings, choose=choose)
    names: set[str] = set()
    unexpected = Unexpected()
    n_explained = 0

    def look(path: Path) -> Iterator[Explanation | Unexplained]:
        nonlocal n_explained
        data = read_bytes(path)
        seen, _ = see_faces(data, finder, settings, reader.kinds)
        for number, one in enumerate(in_reading_order(seen), start=1):
            if one.face.status != "ok":
                yield Unexplained(path, STATUS_MEANINGS[one.face.status])
                continue
            # Cut out by itself: a larger cut beside them would change what the networks are given.
            shown = see_faces(data, finder, settings, [(TEMPLATE, SIDE)], known=one.face)[0][0]
            said = reader({kind: crop[None] for kind, crop in one.crops.items()})[0]
            best = int(said.argmax())
            heat = make_heat(one.crops, best)
            chance = np.random.default_rng([seed, n_explained])
            n_explained += 1
            stem = path.stem if number == 1 else f"{path.stem}-{number}"
            yield Explanation(
                path=path,
                number=number,
                name=fresh_name(stem, ".png", names).removesuffix(".png"),
                answer="years" if model.target.is_regression else model.target.classes[best],
                value=float(said[best]),
                how=how,
                face=shown.crops[TEMPLATE, SIDE],
                heat=_scaled(heat, SIDE),
                loss=_check(reader, one.crops, best, heat, chance),
            )

    for done, path in enumerate(paths, start=1):
        try:
            found = list(look(path))
            unexpected.n_read += 1
        except ImageError as error:
            found = [Unexplained(path, str(error))]
            unexpected.n_read += 1
        except FeaturekitError:
            raise
        except Exception as error:
            found = [Unexplained(path, unexpected.told(error))]
        yield from found
        if progress:
            progress(done, len(paths))


def median_loss(losses: Sequence[Loss]) -> Loss:
    """Return the medians over faces, of which there must be one at least."""
    important, random = np.median(np.array(losses), axis=0)
    return Loss(float(important), float(random))


class _Reader:
    """A model and its networks: the crops of a face, changed in n ways → what it says of each."""

    def __init__(self, model: TrainedModel, networks: Sequence[OpenBackbone]) -> None:
        self.model = model
        self.networks = networks
        self.kinds = list(dict.fromkeys(network.crop for network in networks))

    def __call__(self, crops: FaceCrops) -> NDArray[np.float64]:
        """Return class probabilities, shape (n, n_classes), or years, shape (n, 1)."""
        vectors: dict[str, NDArray[Any]] = {}
        for network in self.networks:
            vectors.update(network.vectors(crops[network.crop]))
        joined = np.hstack([vectors[recipe.feature] for recipe in self.model.recipes])
        return self.model.predict(joined, self.model.recipes)

    def lost(
        self, crops: FaceCrops, masks: NDArray[np.bool_], by: Replacement, number: int
    ) -> NDArray[np.float64]:
        """Return what the answer of this number loses by each replacement; for years, how far they move."""
        untouched = np.zeros_like(masks[:1])
        said = self(replaced(crops, np.concatenate([untouched, masks]), by))[:, number]
        lost: NDArray[np.float64] = said[0] - said[1:]
        return np.abs(lost) if self.model.target.is_regression else lost


# ---------------------------------------------------------------- three ways to look

# Crops of a face, number of the answer → heat, any square shape.
_MakeHeat = Callable[[FaceCrops, int], NDArray[Any]]


def _way(reader: _Reader, how: str) -> tuple[str, _MakeHeat]:
    """Return a way to look and what makes its maps."""
    model, cnn = reader.model, reader.model.estimator
    if isinstance(cnn, CNN) and how != "occlusion":
        if how != "gradcam" and hasattr(cnn.network_.body, "attention"):
            return "attention", lambda crops, number: _attention(cnn, crops[reader.kinds[0]])
        if how != "attention" and (maps := _last_maps(cnn)):
            return "gradcam", lambda crops, number: _gradcam(cnn, maps, crops[reader.kinds[0]], number)
    if how in ("gradcam", "attention"):
        what = "a feature map" if how == "gradcam" else "masks of its own"
        raise ModelError(
            f"{model.name} ({model.classifier}) cannot be asked by {WAYS[how]}, which needs a network trained"
            f" end to end that has {what}. Any model can be asked by occlusion."
        )
    return "occlusion", lambda crops, number: _occlusion(reader, crops, number)


def _occlusion(reader: _Reader, crops: FaceCrops, number: int) -> NDArray[np.float64]:
    """Return what an answer loses, at each cell, on average over the squares that cover it."""
    starts = range(0, CELLS - _SQUARE + 1, _STEP)
    squares = np.zeros((len(starts) ** 2, CELLS, CELLS), bool)
    for square, (top, left) in zip(squares, ((a, b) for a in starts for b in starts), strict=True):
        square[top : top + _SQUARE, left : left + _SQUARE] = True
    lost = reader.lost(crops, squares, lambda crop: np.full_like(crop, _GREY), number)
    heat = np.tensordot(lost.clip(min=0), squares, 1) / squares.sum(axis=0)
    # Steps finer than the square are no finding.
    smooth: NDArray[np.float64] = import_cv2().GaussianBlur(heat, (0, 0), _STEP / 2)
    return smooth


class _Map(NamedTuple):
    """A late feature map of a network: where it is made, and the part of the picture that it is a map of."""

    layer: "torch.nn.Module"
    rows: slice
    columns: slice


def _last_maps(cnn: CNN) -> list[_Map]:
    """Return a feature map of each network that a CNN is made of, leaving out those without.

    It is the last one that has _MIN_CELLS cells a side, or, where none has so many, the last one at all.
    """
    import torch

    body: Any = cnn.network_.body
    # Several networks that are trained as one have each a part of the picture.
    bodies = list(getattr(body, "bodies", [body]))
    whole = slice(0, cnn.side)
    views = [(rows, columns) for rows, columns, _ in getattr(body, "views", [])] or [(whole, whole)]
    last: dict[int, torch.nn.Module] = {}
    most: dict[int, int] = {}  # cells a side of the map that is the last so far, counted up to _MIN_CELLS

    def watch(number: int) -> Callable[..., None]:
        def note(layer: torch.nn.Module, given: Any, made: Any) -> None:
            # A single channel is a mask, a single cell a vector.
            if not isinstance(made, torch.Tensor) or made.ndim != 4 or min(made.shape[1:]) < 2:
                return
            cells = min(*made.shape[2:], _MIN_CELLS)
            if cells >= most.get(number, 0):
                last[number], most[number] = layer, cells

        return note

    layers = [(number, layer) for number, one in enumerate(bodies) for layer in one.modules()]
    watched = [layer.register_forward_hook(watch(number)) for number, layer in layers]
    try:
        with torch.no_grad():
            cnn.network_.eval()
            body(_pictures(cnn, np.zeros((cnn.side, cnn.side, 3), np.uint8)))
    finally:
        for handle in watched:
            handle.remove()
    return [_Map(last[number], *views[number]) for number in sorted(last)]


def _gradcam(cnn: CNN, maps: Sequence[_Map], crop: NDArray[np.uint8], number: int) -> NDArray[np.float32]:
    """Return what each place of a picture adds to the score of an answer, by Grad-CAM."""
    import torch
    from torch.nn import functional

    # captum imports matplotlib, which would keep its list of fonts elsewhere in the user's home.
    os.environ.setdefault("MPLCONFIGDIR", str(home() / "matplotlib"))
    from captum.attr import LayerGradientXActivation

    head = next(head for head in cnn.heads_ if head.target == cnn.target)

    def score(pixels: torch.Tensor) -> torch.Tensor:
        return _score(head, cnn.network_(pixels)[head.target.name], number)

    pictures = _pictures(cnn, crop)
    heat = torch.zeros(len(pictures), cnn.side, cnn.side)
    for layer, rows, columns in maps:
        each = LayerGradientXActivation(score, layer).attribute(pictures)
        found = each.detach().float().cpu().sum(dim=1, keepdim=True)
        # Younger and older both count; what speaks against a class does not.
        found = found.abs() if head.kind == "years" else found.clamp(min=0)
        size = (rows.stop - rows.start, columns.stop - columns.start)
        # A cell's part of the score, spread over its pixels: so networks of different sizes can be added up.
        share = found.shape[2] * found.shape[3] / (size[0] * size[1])
        spread = functional.interpolate(found, size, mode="bicubic")[:, 0]
        heat[:, rows, columns] += share * spread
    return _of_both(heat)


def _score(head: Head, outputs: "torch.Tensor", number: int) -> "torch.Tensor":
    """Return the years, or a class's log odds, which still tell apart what is as good as sure; shape (n,)."""
    import torch

    if head.kind == "years":
        return head.answer(outputs)
    logs = outputs if head.kind == "classes" else head.probabilities(outputs).clamp(min=1e-30).log()
    others = torch.cat([logs[:, :number], logs[:, number + 1 :]], dim=1)
    return logs[:, number] - others.logsumexp(dim=1)


def _attention(cnn: CNN, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of a network's own masks, its lowest place 0."""
    import torch
    from torch.nn import functional

    body: Any = cnn.network_.eval().body
    with torch.no_grad():
        masks = body.attention(_pictures(cnn, crop))
    size = (cnn.side, cnn.side)
    each = [
        functional.interpolate(mask[:, None].float().cpu(), size, mode="bilinear")[:, 0] for mask in masks
    ]
    heat = _of_both(torch.stack(each).mean(dim=0))
    lowest: NDArray[np.float32] = heat - heat.min()
    return lowest


def _pictures(cnn: CNN, crop: NDArray[np.uint8]) -> "torch.Tensor":
    """Return a face as a network is given it, and its mirror image where it reads that too."""
    import torch

    views = [NOTHING, NOTHING._replace(is_flipped=True)][: cnn.views]
    device = next(cnn.network_.parameters()).device
    return torch.stack([changed(crop, view, cnn.side) for view in views]).to(device).float()


def _of_both(heat: "torch.Tensor") -> NDArray[np.float32]:
    """Return the mean of the maps of _pictures(), as numpy."""
    upright = heat[0] if len(heat) == 1 else (heat[0] + heat[1].flip(-1)) / 2
    found: NDArray[np.float32] = upright.numpy()
    return found


# ---------------------------------------------------------------- changing a part of a face


def replaced(crops: FaceCrops, masks: NDArray[np.bool_], by: Replacement) -> FaceCrops:
    """Return a face changed in n ways.

    Args:
        crops: the face, each of shape (s, s, 3).
        masks: cells of the shown cut that are replaced, shape (n, CELLS, CELLS); each crop is changed at
            the same place of the face.
        by: what it is replaced by.
    """
    made = {}
    for (template, side), crop in crops.items():
        # Where the middle of each pixel lies in the shown cut.
        turn, shift = similarity(TEMPLATES[template], TEMPLATES[TEMPLATE])
        across = (np.arange(side) + 0.5) / side
        places = turn * (across + 1j * across[:, None]) + shift
        rows, columns = (np.floor(part * CELLS).astype(int) for part in (places.imag, places.real))
        is_inside = (rows >= 0) & (rows < CELLS) & (columns >= 0) & (columns < CELLS)
        at = masks[:, rows.clip(0, CELLS - 1), columns.clip(0, CELLS - 1)] & is_inside
        made[template, side] = np.where(at[..., None], by(crop), crop)
    return made


def _blurred(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    cv2 = import_cv2()
    blurred: NDArray[np.uint8] = cv2.GaussianBlur(crop, (0, 0), _BLUR * len(crop))
    return blurred


def _check(
    reader: _Reader, crops: FaceCrops, number: int, heat: NDArray[Any], chance: np.random.Generator
) -> Loss:
    """Return what is lost with the tenth of the cells that the map calls most important, and with others."""
    n_blurred = round(_SHARE * CELLS**2)
    in_blocks = np.arange(CELLS) // _BLOCK
    block = in_blocks[:, None] * (CELLS // _BLOCK) + in_blocks
    ranks = [-_scaled(heat, CELLS), *(chance.permutation(block.max() + 1)[block] for _ in range(_DRAWS))]
    masks = np.zeros((len(ranks), CELLS**2), bool)
    for mask, rank in zip(masks, ranks, strict=True):
        mask[rank.ravel().argsort(kind="stable")[:n_blurred]] = True
    lost = reader.lost(crops, masks.reshape(-1, CELLS, CELLS), _blurred, number)
    return Loss(float(lost[0]), float(lost[1:].mean()))


def _scaled(heat: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Return a map brought to a side, its highest place 1; or all 0."""
    cv2 = import_cv2()
    way = cv2.INTER_AREA if side < len(heat) else cv2.INTER_LINEAR
    scaled: NDArray[np.float32] = cv2.resize(heat.astype(np.float32), (side, side), interpolation=way)
    scaled = scaled.clip(min=0)  # smooth curves swing a little too far
    return scaled / max(float(scaled.max()), 1e-12)


# ---------------------------------------------------------------- means that show nobody


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
        self._sums[one.group] = (faces + _grey(one.face), heats + one.heat)
        self.n_faces[one.group] = self.n_faces.get(one.group, 0) + 1

    def maps(self) -> list[MeanMap]:
        """Return the means of the answers that enough faces have, in the order in which they came.

        Raises:
            TargetError: no answer has enough.
        """
        enough = [group for group, n in self.n_faces.items() if n >= MIN_FACES]
        if not enough:
            raise TargetError(f"There is no mean to show. {self.refusal()}")
        return [
            MeanMap(
                group=group,
                n_faces=self.n_faces[group],
                how=self._how,
                face=_as_rgb(self._sums[group][0] / self.n_faces[group]),
                heat=_scaled(self._sums[group][1], SIDE),
            )
            for group in enough
        ]

    def refusal(self) -> str:
        """Return in words which answers too few faces have; "" where all have enough."""
        few = [f"{group}: {n}" for group, n in self.n_faces.items() if n < MIN_FACES]
        if not few:
            return ""
        return (
            f"Not enough faces ({', '.join(few)}; {MIN_FACES} are the least):"
            " no single person may be recognizable in a mean."
        )


def _grey(face: NDArray[np.uint8]) -> NDArray[np.float64]:
    grey: NDArray[np.float64] = face @ np.array([0.299, 0.587, 0.114])
    return grey


def _as_rgb(grey: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)


# ---------------------------------------------------------------- drawing

PICTURE = (448, 504)  # width and height of a drawing: the face, and two lines below it
_PER_ROW = 4  # drawings side by side on a sheet
_INK, _FAINT, _PAPER = (25, 25, 30), (100, 100, 110), (255, 255, 255)
_OPACITY = 0.8  # of the map where it is highest; a place of no importance shows the face alone


def draw_explanation(one: Explanation, folder: Path) -> Path:
    """Write the map of a face over the face, as a PNG of the size PICTURE, and return it."""
    return _write(_drawn(one.face, one.heat, one.said, WAYS[one.how]), folder / f"{one.name}.png")


def draw_mean_maps(maps: Sequence[MeanMap], folder: Path) -> list[Path]:
    """Write each mean map as a PNG of the size PICTURE, and all of them as sheet.png; return the files."""
    from PIL import Image

    notes = [f"{WAYS[one.how]}, mean of {one.n_faces:,} faces" for one in maps]
    drawings = [_drawn(one.face, one.heat, one.group, note) for one, note in zip(maps, notes, strict=True)]
    names = {"sheet.png"}
    written = []
    for one, drawing in zip(maps, drawings, strict=True):
        name = fresh_name("mean-" + re.sub(r"[^\w-]+", "-", one.group), ".png", names)
        written.append(_write(drawing, folder / name))
    width, height = PICTURE
    across = min(len(drawings), _PER_ROW)
    down = -(-len(drawings) // across)
    sheet = Image.new("RGB", (across * width, down * height), _PAPER)
    for place, drawing in enumerate(drawings):
        sheet.paste(drawing, (place % across * width, place // across * height))
    return [*written, _write(sheet, folder / "sheet.png")]


def _drawn(face: NDArray[np.uint8], heat: NDArray[np.float32], title: str, note: str) -> "Image.Image":
    """Return a map over a face, with a title, a note, and the scale of its colors."""
    from PIL import Image, ImageDraw, ImageFont

    cv2 = import_cv2()
    width = PICTURE[0]
    large = cv2.resize(_as_rgb(_grey(face)), (width, width), interpolation=cv2.INTER_CUBIC)
    smooth = cv2.resize(heat, (width, width), interpolation=cv2.INTER_LINEAR).clip(0, 1)
    opacity = _OPACITY * smooth[..., None]
    colored = large * (1 - opacity) + _colors(smooth) * opacity
    picture = Image.new("RGB", PICTURE, _PAPER)
    picture.paste(Image.fromarray(colored.round().astype(np.uint8)), (0, 0))
    pen = ImageDraw.Draw(picture)
    pen.text((12, width + 6), title, fill=_INK, font=ImageFont.load_default(size=20), anchor="la")
    small = ImageFont.load_default(size=14)
    pen.text((12, width + 34), note[:1].upper() + note[1:], fill=_FAINT, font=small, anchor="la")
    scale = _colors(np.tile(np.linspace(0, 1, 90, dtype=np.float32), (10, 1)))
    left = width - 12 - scale.shape[1]
    picture.paste(Image.fromarray(scale), (left, width + 14))
    pen.text((left, width + 34), "little", fill=_FAINT, font=small, anchor="la")
    pen.text((width - 12, width + 34), "much", fill=_FAINT, font=small, anchor="ra")
    return picture


def _colors(heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return heat as colors that grow lighter with it, so that they can be told apart without seeing hues."""
    cv2 = import_cv2()
    colors: NDArray[np.uint8] = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(colors[..., ::-1])


def _write(picture: "Image.Image", path: Path) -> Path:
    with whole_file(path) as file:
        picture.save(file, "PNG")
    return path
