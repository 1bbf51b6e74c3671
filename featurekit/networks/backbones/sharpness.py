"""How sharp a face is: the variance of the Laplacian of its grey crop, which is low if the face is blurred.

The Laplacian is the sum of a pixel's four neighbours minus four times the pixel. It is large at edges, and a
blurred face has weak edges. The variance is that of the middle of the aligned crop, which shows the eyes, the
nose and the mouth: the background does not count, nor does the border of the image, beyond which a crop is
black. A small face that is enlarged is not sharp. The number also falls with the contrast and rises with
noise, so it orders the faces of one data set, and has no unit that could be compared between data sets.
Source: Pech-Pacheco, Cristóbal, Chamorro-Martínez and Fernández-Valdivia 2000, "Diatom autofocusing in
brightfield microscopy: a comparative study".
"""

import numpy as np
from numpy.typing import NDArray

from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.backbones._grey import grey, import_cv2

SIDE = 112  # pixels: about the size of the crops that networks for faces read
MIDDLE = slice(SIDE // 4, SIDE - SIDE // 4)  # the rows and the columns that count


def sharpness(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the variance of the Laplacian of the middle of each crop, shape (n, 1)."""
    return np.array([[_variance(crop)] for crop in crops], np.float32).reshape(-1, 1)


def _variance(crop: NDArray[np.uint8]) -> float:
    cv2 = import_cv2()
    # Sums of whole numbers are exact, so the order of adding cannot matter.
    values = cv2.Laplacian(grey(crop), cv2.CV_16S, ksize=1)[MIDDLE, MIDDLE].astype(np.int64)
    n, total, squares = int(values.size), int(values.sum()), int((values**2).sum())
    return float((n * squares - total**2) / n**2)


BACKBONES.add(
    Backbone(
        name="sharpness",
        about="variance of the Laplacian (Pech-Pacheco et al. 2000): one number, low for a blurred face; for"
        " slices of the report, and for models only if it is named",
        layers={"laplacian": 1},
        input_size=SIDE,
        template="dlib",
        group="hand-crafted",
        compute=sharpness,
        is_measure=True,
    )
)
