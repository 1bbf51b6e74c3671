"""How often each tone occurs in a face."""

import numpy as np
from numpy.typing import NDArray

import featurekit as fk

BINS = 8


@fk.register_backbone(
    "tone_histogram", about="how often each of 8 tones of each colour occurs", dim=24, input_size=32
)
def tone_histogram(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the share of pixels of each tone of red, green and blue, shape (n, 24)."""
    tones = crops // (256 // BINS)
    counts = [(tones == tone).sum(axis=(1, 2)) for tone in range(BINS)]
    shares = np.concatenate(counts, axis=1) / (crops.shape[1] * crops.shape[2])
    return shares.astype(np.float32)
