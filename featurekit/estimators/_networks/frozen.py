"""The frozen half of a network, computed once for each view of a face by a fast engine, and kept.

While only the heads or the upper half of a network are trained, its lower half gives the same result for the
same view of a face. Epochs that train only these parts therefore share a number of views, whose results are
kept. OpenVINO computes each face separately, so that a result does not depend on the batch or on what was
kept: a training that is interrupted, or that keeps nothing, ends with the same weights.
"""

import math
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from featurekit.errors import EngineError
from featurekit.estimators._networks.augmentation import NOTHING, Augmentation, Change, changed
from featurekit.estimators._networks.halves import split
from featurekit.estimators._networks.sampler import Faces, as_given, change_of, on_device
from featurekit.estimators._networks.schedule import Schedule
from featurekit.networks.engines import Network, Session, available_memory, open_session
from featurekit.text import first_line

# The greatest amount of memory, in bytes, for the kept results of one training, and the greatest share of the
# memory that is free, because several folds may be trained side by side. What needs more is computed again in
# each epoch.
MOST_KEPT = 2 * 2**30
MOST_OF_FREE = 0.1
# Number of faces, counted in each epoch with a frozen half, from which opening the engine is worth its time.
WORTHWHILE = 2000
# The greatest relative difference between the features by the engine and by torch.
TOLERANCE = {"fp32": 1e-3, "bf16": 5e-2}

_opening = Lock()  # converting a network needs much memory


class FrozenHalf:
    """The frozen half of a network, run by an engine.

    Attributes:
        rest: the rest of the network with its heads: results of the frozen half → outputs of the heads.
        engine: name and version of the engine.
        shapes: shape of each result for one face.
        dtype: type in which results are kept.
    """

    def __init__(self, session: Session, rest: "Rest", side: int, precision: str) -> None:
        self.rest = rest
        # In bf16, the rest of the network rounds its inputs in any case.
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self._session, self._side = session, side
        self.engine = session.achieved.engine
        self.shapes = [one.shape for one in self.results(np.zeros((side, side, 3), np.uint8), NOTHING)]

    def results(self, crop: NDArray[np.uint8], change: Change) -> list[torch.Tensor]:
        """Return the results for a face of shape (s, s, 3) that is changed first."""
        pixels = changed(crop, change, self._side)
        return [torch.from_numpy(one[0]).to(self.dtype) for one in self._session(pixels[None])]

    @property
    def bytes_of_a_face(self) -> int:
        """Memory that the results for one view of a face need."""
        return sum(math.prod(shape) for shape in self.shapes) * self.dtype.itemsize


class Rest(nn.Module):
    """What follows the frozen half of a network."""

    def __init__(self, upper: nn.Module, heads: nn.Module) -> None:
        super().__init__()
        self.upper, self.heads = upper, heads

    def forward(self, *results: torch.Tensor) -> Any:
        return self.heads(self.upper(*results))


class Views:
    """The results of the frozen half of a network for the views of some faces.

    Args:
        half: the frozen half.
        faces: the faces.
        change: function of the number of a view and the number of a face that returns the changes.
        n_kept: number of views whose results are kept, from the first one on.
    """

    def __init__(
        self, half: FrozenHalf, faces: Faces, change: Callable[[int, int], Change], n_kept: int
    ) -> None:
        self._half, self._faces, self._change = half, faces, change
        # Memory is taken when it is written to.
        self._kept = [torch.empty((n_kept, len(faces), *shape), dtype=half.dtype) for shape in half.shapes]
        self._is_there = np.zeros((n_kept, len(faces)), bool)

    def read(self, view: int, rows: NDArray[np.intp]) -> tuple[torch.Tensor, ...]:
        """Return the results for a view of some faces, each of shape (n, …); several threads may call this.

        Args:
            view: number of the view.
            rows: numbers of the faces, shape (n,).
        """
        if view >= len(self._is_there):
            each = [self._computed(view, row) for row in rows]
            return tuple(torch.stack(one) for one in zip(*each, strict=True))
        for row in rows[~self._is_there[view, rows]]:
            for kept, result in zip(self._kept, self._computed(view, row), strict=True):
                kept[view, row] = result
            self._is_there[view, row] = True
        return tuple(kept[view][torch.from_numpy(rows)] for kept in self._kept)

    def _computed(self, view: int, row: int) -> list[torch.Tensor]:
        crops = self._faces.crops
        assert isinstance(crops, np.ndarray)  # tensors are on a GPU
        return self._half.results(crops[self._faces.rows[row]], self._change(view, row))


def open_frozen_half(
    network: nn.Module, face: NDArray[np.uint8], side: int, precision: str, threads: int
) -> FrozenHalf | None:
    """Return the frozen half of a network; None if nothing is frozen.

    Args:
        network: its parts are `body`, in evaluation mode, and `heads`. Weights that are trained require a
            gradient.
        face: a face on which the results of the engine are compared with those of torch, shape (s, s, 3).
        side: side of the network's input, in pixels.
        precision: "fp32" or "bf16".
        threads: number of threads that compute results at the same time.

    Raises:
        EngineError: OpenVINO cannot run the frozen half, or computes other features than torch.
    """
    body: Any = network.body
    heads: Any = network.heads
    try:
        with _opening:
            if (halves := split(body, side)) is None:
                return None
            lower, upper = halves
            session = open_session(
                Network(
                    name="the frozen half",
                    # One name for each result, of which the engine does not use the text.
                    outputs=("results",),
                    module=lambda: lower,
                    input_size=side,
                ),
                device="cpu",
                precision=precision,
                engine="openvino",
                threads=threads,
            )
        half = FrozenHalf(session, Rest(upper, heads), side, precision)
        with torch.inference_mode():
            got = upper(*(one[None].float() for one in half.results(face, NOTHING)))
            pixels = as_given(face[None], np.zeros(1, np.intp), [NOTHING], side, "cpu")
            wanted = body(on_device(pixels, "cpu"))
    except Exception as error:  # a network of a user's own, and its conversion, may raise anything
        raise EngineError(f"OpenVINO cannot run it: {type(error).__name__}: {first_line(error)}") from error
    if (got - wanted).norm() > TOLERANCE[precision] * wanted.norm():
        raise EngineError("OpenVINO computes other features from it than torch")
    return half


class Frozen:
    """The frozen half of a network and its results, for the epochs in which it is frozen.

    Args:
        half: the frozen half.
        faces: the training faces.
        held_out: the held-out faces; None if there are none.
        schedule: how the network is trained.
        augmentation: random changes of the training faces; None for none.
        seed: seed of the changes.
    """

    def __init__(
        self,
        half: FrozenHalf,
        faces: Faces,
        held_out: Faces | None,
        schedule: Schedule,
        augmentation: Augmentation | None,
        seed: int,
    ) -> None:
        self.rest = half.rest
        free = int(min(MOST_KEPT, MOST_OF_FREE * available_memory()))
        n_frozen, n_views = schedule.n_frozen, schedule.n_views
        self._held_out = None
        if held_out is not None:
            # Every epoch reads the held-out faces as they are.
            needed = len(held_out) * half.bytes_of_a_face
            keeps = n_frozen > 1 and needed <= free
            self._held_out = Views(half, held_out, lambda view, row: NOTHING, int(keeps))
            free -= needed * keeps
        # A view that no later epoch reads is not kept.
        wanted = max(min(n_views, n_frozen - n_views), 0)
        fitting = free // max(len(faces) * half.bytes_of_a_face, 1)
        self._training = Views(
            half, faces, lambda view, row: change_of(augmentation, seed, view, row), min(wanted, fitting)
        )

    def read(self, view: int, rows: NDArray[np.intp]) -> tuple[torch.Tensor, ...]:
        """Return the results for a view of some training faces; see Views.read()."""
        return self._training.read(view, rows)

    def read_held_out(self, rows: NDArray[np.intp]) -> tuple[torch.Tensor, ...]:
        """Return the results for some held-out faces; see Views.read()."""
        assert self._held_out is not None
        return self._held_out.read(0, rows)
