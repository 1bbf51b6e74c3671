"""Export a network trained end to end as one ONNX file, for programs that do not use featurekit.

The network in the file does all steps of a prediction after a face has been cropped: it takes the pixels of
the crop and returns class probabilities, or a number for a regression target. The metadata of the file give
the position of the landmarks in the crop, the names of the outputs, and the weight files that were used.
"""

import io
import json
import math
import warnings
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch.overrides import TorchFunctionMode

from featurekit.errors import ModelError
from featurekit.estimators._networks.augmentation import VIEWS, Change
from featurekit.estimators._networks.estimator import CNN
from featurekit.faces.align import TEMPLATES
from featurekit.files import whole_file
from featurekit.inference.model import TrainedModel
from featurekit.version import __version__

OPSET = 18
# The largest allowed difference between the probabilities of ONNX Runtime and of the network; 100 times this
# for years.
TOLERANCE = 1e-4
N_PICTURES = 4  # number of images for which both predict


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A network that was exported as an ONNX file.

    Attributes:
        path: the file.
        n_bytes: size of the file in bytes.
        side: side of the square face crops that the network takes as input, in pixels.
        answers: classes in the order of the output's columns; empty for a regression target.
        difference: the largest difference between the outputs of ONNX Runtime and of the network for
            N_PICTURES made-up images; at most TOLERANCE, or 100 × TOLERANCE for a regression target.
        from_predict: the largest difference between ONNX Runtime and `TrainedModel.predict()`, which computes
            in the model's own precision, for the same images.
    """

    path: Path
    n_bytes: int
    side: int
    answers: tuple[str, ...]
    difference: float
    from_predict: float

    @property
    def gives(self) -> str:
        """Description of the network's output."""
        n = len(self.answers)
        return f"probabilities (n, {n}): {', '.join(self.answers)}" if n else "years (n,)"


def export_onnx(model: TrainedModel, path: Path) -> Exported:
    """Write a network as an ONNX file, after checking that ONNX Runtime makes the same predictions.

    The input of the ONNX network is "pixels", uint8, shape (n, side, side, 3), RGB. Its output is
    "probabilities", float32, shape (n, n_classes), or, for a regression target, "years", shape (n,).

    Args:
        model: the model, which must be a network trained end to end.
        path: path of the ONNX file.

    Raises:
        ModelError: the model is not a network trained end to end, or ONNX Runtime makes other predictions.
        WorkspaceError: the file cannot be written.
    """
    cnn = model.estimator
    if not isinstance(cnn, CNN):
        raise ModelError(
            f"{model.name} ({model.classifier}) takes embeddings as input. Only networks trained end to end"
            " can be exported as ONNX. Fit one (featurekit list models), or predict with this model:"
            " featurekit predict"
        )
    side = model.recipes[0].input_size
    whole = _whole(cnn, side)
    pixels = _made_up(side)
    # This fills the cache of _weights(). Without it, the computation of the weights would be exported too.
    with torch.no_grad():
        expected = whole(torch.tensor(pixels)).numpy()
    output = "years" if model.target.is_regression else "probabilities"
    data = _with_facts(_traced(whole, pixels[:2], output), model)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    got = np.asarray(session.run(None, {"pixels": pixels})[0])
    difference = float(np.abs(got - expected).max())
    if not difference <= TOLERANCE * (100 if model.target.is_regression else 1):
        raise ModelError(
            f"The predictions of ONNX Runtime differ from those of {model.name} by up to {difference:.1g},"
            f" so nothing was written. Another version of torch ({torch.__version__} here) may export it"
            " correctly."
        )
    own = model.predict(pixels.reshape(len(pixels), -1), model.recipes)
    with whole_file(path) as file:
        file.write(data)
    return Exported(
        path=path,
        n_bytes=len(data),
        side=side,
        answers=model.target.classes,
        difference=difference,
        from_predict=float(np.abs(got - own.reshape(got.shape)).max()),
    )


def _whole(cnn: CNN, side: int) -> torch.nn.Module:
    """Return a network for all steps of a prediction: uint8 (n, side, side, 3) → mean output of all views."""

    class ByMatrices(TorchFunctionMode):
        """Computes an antialiased resize by products of matrices, because torch cannot export the resize."""

        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            facts = kwargs or {}
            if function is torch.nn.functional.interpolate and facts.get("antialias"):
                pixels, (height, width) = args[0], facts["size"]
                rows = _weights(int(pixels.shape[-2]), height).float()
                return rows @ pixels @ _weights(int(pixels.shape[-1]), width).float().T
            return function(*args, **facts)

    head = next(head for head in cnn.heads_ if head.target == cnn.target)
    views = [_matrices(view, side, cnn.side) for view in VIEWS[cnn.views]]

    class Whole(torch.nn.Module):
        """The crops of faces → the predictions."""

        is_known: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.network = deepcopy(cnn.network_).cpu().float().eval()
            for number, (rows, columns) in enumerate(views):
                self.register_buffer(f"rows_{number}", rows)
                self.register_buffer(f"columns_{number}", columns)
            if head.kind != "years":
                # The other classes had no training faces.
                is_known = torch.isin(torch.arange(len(head.target.classes)), torch.tensor(cnn.classes_))
                self.register_buffer("is_known", is_known.float())

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            faces = pixels.permute(0, 3, 1, 2).float()
            answers = []
            for number in range(len(views)):
                # Rounded after each product, as torch does if it resizes bytes.
                narrow = (faces @ getattr(self, f"columns_{number}").T + 0.5).floor()
                view = (getattr(self, f"rows_{number}") @ narrow + 0.5).floor()
                with ByMatrices():
                    answers.append(head.answer(self.network(view)[head.target.name]))
            answer = torch.stack(answers).mean(dim=0)
            if head.kind == "years":
                return answer
            shares: torch.Tensor = answer * self.is_known
            return shares / shares.sum(dim=1, keepdim=True)

    return Whole().eval()


def _matrices(view: Change, length: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the matrices that make a view of an image: for its rows, and, transposed, for its columns."""
    top, left, height, width = (round(length * part) for part in view.box)
    rows, columns = torch.zeros(side, length), torch.zeros(side, length)
    rows[:, top : top + height] = _of_bytes(_weights(height, side))
    columns[:, left : left + width] = _of_bytes(_weights(width, side))
    return rows, columns.flip(1) if view.is_flipped else columns


@cache
def _weights(length: int, side: int) -> torch.Tensor:
    """Return the weights of an antialiased resize of one axis, float64, shape (side, length)."""
    unit = torch.eye(length, dtype=torch.float64)[None, None]
    return torch.nn.functional.interpolate(unit, (side, length), mode="bilinear", antialias=True)[0, 0]


def _of_bytes(weights: torch.Tensor) -> torch.Tensor:
    """Return weights rounded as torch rounds them to resize bytes: the largest has 15 bits."""
    unit = 2.0 ** min(math.floor(math.log2((2**15 - 0.5) / float(weights.max()))), 22)
    return ((weights * unit + 0.5).floor() / unit).float()


def _traced(whole: torch.nn.Module, pixels: NDArray[np.uint8], output: str) -> bytes:
    """Return a network as the bytes of an ONNX file with any number of faces as its input."""
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # The newer exporter needs another package. The older one warns of that, and that sizes become
        # constants.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]  # it is there
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            whole,
            (torch.tensor(pixels),),
            file,  # type: ignore[arg-type]  # a file opened for writing will do
            input_names=["pixels"],
            output_names=[output],
            dynamic_axes={"pixels": {0: "n"}, output: {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )
    return file.getvalue()


def _with_facts(data: bytes, model: TrainedModel) -> bytes:
    """Return an ONNX file with metadata: what it is, where a face must be in the crop, and its weights."""
    content = onnx.load_model_from_string(data)
    facts = {
        "model": model.name,
        "target": model.target.name,
        "classes": model.target.classes,
        "years": model.target.years,
        "pixels": "uint8 RGB, 0 to 255, the face upright; black where the image ends",
        "landmarks": {
            "order": ["left eye", "right eye", "nose tip", "left mouth corner", "right mouth corner"],
            "unit": (
                "fractions of the side, x to the right, y down, from the upper left corner; left as seen"
                " in the image"
            ),
            "places": TEMPLATES[model.recipes[0].template].round(6).tolist(),
        },
        "training": {name: model.training.get(name) for name in ("dataset", "n_faces", "n_subjects", "seed")},
        "weights": [dict(weight) for weight in model.weights],
        "made_by": f"featurekit {__version__}",
    }
    onnx.helper.set_model_props(
        content,
        {name: value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()},
    )
    onnx.checker.check_model(content)
    return bytes(content.SerializeToString())


def _made_up(side: int) -> NDArray[np.uint8]:
    """Return images of patches with noise, shape (N_PICTURES, side, side, 3)."""
    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, (N_PICTURES, 8, 8, 3))
    large = patches.repeat(-(-side // 8), axis=1).repeat(-(-side // 8), axis=2)[:, :side, :side]
    return np.clip(large + rng.normal(0, 25, large.shape), 0, 255).astype(np.uint8)
