"""The grey pixels of a face, which eigenfaces start from."""

import numpy as np
import pytest

from featurekit.networks.backbones.flattened_pixels import flattened_pixels


def test_they_are_the_luminance_of_each_pixel_row_by_row():
    crops = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    luminance = crops.astype(float) @ [0.299, 0.587, 0.114]
    found = flattened_pixels(crops)
    # OpenCV rounds to whole numbers.
    assert found.reshape(3, 32, 32) * 255 == pytest.approx(luminance, abs=0.51)
    assert found.dtype == np.float32


def test_black_is_0_and_white_is_1():
    crops = np.zeros((2, 32, 32, 3), np.uint8)
    crops[1] = 255
    np.testing.assert_array_equal(flattened_pixels(crops), np.repeat([[0.0], [1.0]], 1024, axis=1))
