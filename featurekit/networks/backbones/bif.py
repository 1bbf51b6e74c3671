"""Biologically inspired features (BIF) of a face: responses of Gabor filters, pooled in cells.

Gabor filters of 8 bands × 12 rotations are applied to the grey crop. A band has filters of two sizes, whose
responses are joined by their maximum (the paper's MAX). Then cells are pooled. The layer "deviation" has the
standard deviation of each cell (the paper's STD), the layer "maximum" its maximum, as in the model of the
visual cortex that the features come from (Riesenhuber and Poggio 1999). The sizes of filters and cells and
the parameters of the filters are those of the paper. Cells do not overlap here; in the paper they overlap by
half, which gives more than three times as many numbers. As many cells as fit are in the middle of the crop.
Outside the crop, the filters see its mirror image (OpenCV's BORDER_REFLECT_101). Source: Guo, Mu, Fu and
Huang 2009, "Human age estimation using bio-inspired features".
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.backbones._grey import grey, import_cv2

SIDE, ROTATIONS = 60, 12
_ASPECT = 0.3  # width of a filter's envelope as a part of its length, gamma in the paper


class Band(NamedTuple):
    """The two filters of a band, and the side of the cells that are pooled, all in pixels.

    Attributes:
        cell: side of a cell.
        sizes: sides of the two filters.
        deviations: standard deviations of their Gaussian envelopes, across the waves.
        wavelengths: their wavelengths.
    """

    cell: int
    sizes: tuple[int, int]
    deviations: tuple[float, float]
    wavelengths: tuple[float, float]

    @property
    def cells(self) -> int:
        """Number of cells along a side of the crop."""
        return SIDE // self.cell


BANDS = (
    Band(6, (5, 7), (2.0, 2.8), (2.5, 3.5)),
    Band(8, (9, 11), (3.6, 4.5), (4.6, 5.6)),
    Band(10, (13, 15), (5.4, 6.3), (6.8, 7.9)),
    Band(12, (17, 19), (7.3, 8.2), (9.1, 10.3)),
    Band(14, (21, 23), (9.2, 10.2), (11.5, 12.7)),
    Band(16, (25, 27), (11.3, 12.3), (14.1, 15.4)),
    Band(18, (29, 31), (13.4, 14.6), (16.8, 18.2)),
    Band(20, (33, 35), (15.8, 17.0), (19.7, 21.2)),
)
DIM = ROTATIONS * sum(band.cells**2 for band in BANDS)


@cache
def filters(band: Band) -> list[list[NDArray[np.float32]]]:
    """Return the two Gabor filters of a band for each rotation, from 0 to 180 degrees.

    The envelope of each filter has an integral of 1, so that the responses of both sizes can be compared.
    """
    cv2 = import_cv2()
    return [
        [
            cv2.getGaborKernel((size, size), deviation, angle, wavelength, _ASPECT, 0, cv2.CV_32F)
            / np.float32(2 * np.pi * deviation**2 / _ASPECT)
            for size, deviation, wavelength in zip(*band[1:], strict=True)
        ]
        for angle in np.pi * np.arange(ROTATIONS) / ROTATIONS
    ]


def responses(image: NDArray[np.uint8], band: Band) -> NDArray[np.float32]:
    """Return the larger response of a band's two filters at each pixel, shape (rotations, s, s)."""
    cv2 = import_cv2()
    bright = image.astype(np.float32)
    return np.stack([cv2.max(*(cv2.filter2D(bright, -1, one) for one in pair)) for pair in filters(band)])


# Layer → how the responses in a cell are pooled.
_POOLINGS: dict[str, Callable[..., NDArray[Any]]] = {"deviation": np.std, "maximum": np.max}


def bif(weights: bytes, layers: Sequence[str]) -> Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]:
    """Return a function that computes the pooled responses of each crop, shape (n, DIM), for each layer."""

    def pooled(crops: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        found: dict[str, list[NDArray[np.float32]]] = {layer: [] for layer in layers}
        for crop in crops:
            image = grey(crop)
            bands = [_in_cells(responses(image, band), band) for band in BANDS]
            for layer, vectors in found.items():
                parts = [_POOLINGS[layer](cells, axis=-1).ravel() for cells in bands]
                vectors.append(np.concatenate(parts))
        return [np.stack(vectors) for vectors in found.values()]

    return pooled


def _in_cells(found: NDArray[np.float32], band: Band) -> NDArray[np.float32]:
    """Return the responses of a band cell by cell, shape (rotations, cells, cells, pixels of a cell)."""
    n, cell = band.cells, band.cell
    start = (SIDE - n * cell) // 2
    inside = found[:, start : start + n * cell, start : start + n * cell]
    parts = inside.reshape(ROTATIONS, n, cell, n, cell).swapaxes(2, 3)
    return parts.reshape(ROTATIONS, n, n, cell * cell)


BACKBONES.add(
    Backbone(
        name="bif",
        about="biologically inspired features (Guo et al. 2009), Gabor filters of 8 bands × 12 rotations,"
        f" {SIDE}×{SIDE}: {DIM:,} numbers; maximum for cells that are pooled by their maximum",
        layers=dict.fromkeys(_POOLINGS, DIM),
        input_size=SIDE,
        template="dlib",
        group="hand-crafted",
        prepare=bif,
    )
)
