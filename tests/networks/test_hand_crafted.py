"""Features without training: each equals a plain computation that is written out here with numpy alone."""

import subprocess
import sys

import numpy as np
import pytest

from featurekit.faces.align import LANDMARKS, TEMPLATES
from featurekit.networks.backbones import BACKBONES, bif, hog, landmarks, lbp, sharpness
from featurekit.networks.backbones._grey import grey


@pytest.fixture
def face():
    """A function that returns a grey noisy crop with the given side, and its grey values."""

    def make(side, seed=0):
        rng = np.random.default_rng(seed)
        waves = np.sin(np.arange(side) / 5)
        image = 120 + 50 * np.outer(waves, waves[::-1]) + rng.normal(0, 20, (side, side))
        image = image.clip(0, 255).astype(np.uint8)
        return np.repeat(image[..., None], 3, axis=2)[None], image.astype(float)

    return make


def computed(name, crops, layer=None):
    backbone = BACKBONES[name]
    session = backbone.open(b"", [layer or backbone.default_layer], device="cpu", precision="fp32")
    return session(crops)[0]


def test_grey_is_the_usual_weighted_sum_of_the_colours():
    crop = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    expected = crop @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey(crop) - expected).max() <= 0.51
    np.testing.assert_array_equal(grey(np.full((4, 4, 3), 77, np.uint8)), 77)


def test_hog_is_the_normalized_histograms_of_gradient_directions(face):
    crops, image = face(hog.SIDE)
    down, right = np.zeros_like(image), np.zeros_like(image)
    down[1:-1], right[:, 1:-1] = image[2:] - image[:-2], image[:, 2:] - image[:, :-2]
    length, degrees = np.hypot(down, right), np.degrees(np.arctan2(down, right)) % 180
    n = hog.SIDE // 8
    cells = np.zeros((n, n, 9))
    for y in range(hog.SIDE):
        for x in range(hog.SIDE):
            cells[y // 8, x // 8, int(degrees[y, x] // 20)] += length[y, x] / 64
    expected = []
    for y in range(n - 1):
        for x in range(n - 1):
            block = cells[y : y + 2, x : x + 2].ravel()
            block = np.minimum(block / np.sqrt((block**2).sum() + 1e-10), 0.2)
            expected.append(block / np.sqrt((block**2).sum() + 1e-10))
    np.testing.assert_allclose(computed("hog", crops)[0], np.concatenate(expected), atol=1e-5)


def changes(code):
    """How often a code of eight bits changes around the circle."""
    bits = [code >> bit & 1 for bit in range(8)]
    return sum(bits[i] != bits[i - 1] for i in range(8))


def sampled(padded, x, y, side):
    """The image moved by (x, y), by bilinear interpolation; padded has a border of 3 pixels."""
    left, top = int(np.floor(x)), int(np.floor(y))
    u, v = x - left, y - top
    parts = {
        (0, 0): (1 - u) * (1 - v), (1, 0): u * (1 - v), (0, 1): (1 - u) * v, (1, 1): u * v
    }  # fmt: skip
    return sum(
        share * padded[3 + top + j : 3 + top + j + side, 3 + left + i : 3 + left + i + side]
        for (i, j), share in parts.items()
        if share
    )


@pytest.mark.parametrize(("layer", "radius"), [("radius_1", 1), ("radius_2", 2)])
def test_lbp_counts_the_uniform_patterns_of_each_cell(face, layer, radius):
    crops, image = face(lbp.SIDE)
    padded = np.pad(image, 3)
    code, is_tie = np.zeros(image.shape, int), np.zeros(image.shape, bool)
    for bit in range(8):
        x, y = (np.round(radius * part(np.pi * bit / 4), 5) for part in (np.cos, np.sin))
        brighter = sampled(padded, x, -y, lbp.SIDE) - image
        code += (brighter >= 0) << bit
        is_tie |= (np.abs(brighter) < 1e-9) & (bit % 2 == 1)
    uniform = [one for one in range(256) if changes(one) <= 2]
    assert len(uniform) == 58
    bins = np.array([uniform.index(one) if one in uniform else 58 for one in range(256)])[code]
    corners = [(y, x) for y in range(0, lbp.SIDE, 16) for x in range(0, lbp.SIDE, 16)]
    expected = np.array(
        [np.bincount(bins[y : y + 16, x : x + 16].ravel(), minlength=59) / 256 for y, x in corners]
    )
    found = computed("lbp", crops, layer).reshape(49, 59)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    # A point between pixels that is just as bright as the pixel counts as rounding has it.
    clear = [number for number, (y, x) in enumerate(corners) if not is_tie[y : y + 16, x : x + 16].any()]
    assert len(clear) > 30
    # The order of the bins is the library's own, but it is the same for all cells.
    found, expected = (sorted(map(tuple, one[clear].T.tolist())) for one in (found, expected))
    assert found == expected


@pytest.mark.parametrize("number", [0, 7])
def test_bif_pools_the_larger_response_of_two_gabor_filters(face, number):
    crops, image = face(bif.SIDE)
    sizes = ((5, 2.0, 2.5), (7, 2.8, 3.5)) if number == 0 else ((33, 15.8, 19.7), (35, 17.0, 21.2))
    cell = 6 if number == 0 else 20
    expected = {"deviation": [], "maximum": []}
    for angle in np.radians(np.arange(0, 180, 15)):
        both = []
        for size, sigma, wavelength in sizes:
            half = size // 2
            y, x = np.mgrid[-half : half + 1, -half : half + 1]
            along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
            envelope = np.exp(-(along**2 + 0.3**2 * across**2) / (2 * sigma**2))
            kernel = envelope * np.cos(2 * np.pi * along / wavelength) / (2 * np.pi * sigma**2 / 0.3)
            windows = np.lib.stride_tricks.sliding_window_view(
                np.pad(image, half, mode="reflect"), kernel.shape
            )
            both.append(np.tensordot(windows, kernel, 2))
        larger = np.maximum(*both)
        for y in range(0, 60, cell):
            for x in range(0, 60, cell):
                expected["deviation"].append(larger[y : y + cell, x : x + cell].std())
                expected["maximum"].append(larger[y : y + cell, x : x + cell].max())
    n = len(expected["maximum"])
    where = slice(0, n) if number == 0 else slice(-n, None)
    for layer, numbers in expected.items():
        np.testing.assert_allclose(computed("bif", crops, layer)[0, where], numbers, rtol=2e-4, atol=2e-4)


def test_bif_has_the_bands_and_cells_of_the_paper():
    assert [band.sizes for band in bif.BANDS] == [(size, size + 2) for size in range(5, 34, 4)]
    assert [band.cell for band in bif.BANDS] == list(range(6, 21, 2))
    # 10² + 7² + 6² + 5² + 4² + 3 · 3² cells that fit side by side, in 12 rotations.
    assert bif.DIM == 12 * (100 + 49 + 36 + 25 + 16 + 27)


# ---------------------------------------------------------------- landmarks

SQUARE = np.array([[0, 0], [2, 0], [1, 1], [0, 2], [2, 2]], np.float32)
NAMES = ("eyes", "mouth", "nose", "nose to eyes", "nose to mouth", "tilt", "used")


def ratios(points):
    return dict(zip(NAMES, landmarks.landmarks(points[None])[0, -7:].tolist(), strict=True))


def test_landmarks_are_distances_angles_and_ratios():
    """On a square with the nose in its middle, which is computed by hand."""
    vector = landmarks.landmarks(SQUARE[None])[0]
    size = np.sqrt(8 / 5)  # four points have the distance √2 from the middle, one 0
    side, half, whole = 2 / size, np.sqrt(2) / size, np.sqrt(8) / size
    expected = [side, half, side, whole, half, whole, side, half, half, side]
    np.testing.assert_allclose(vector[:10], expected, rtol=1e-6)
    # Three corners, or two neighbours and the nose, have angles of 45 and 90 degrees, and the nose is on the
    # line between opposite corners.
    angles = np.degrees(vector[10:40].reshape(10, 3))
    np.testing.assert_allclose(angles.sum(axis=1), 180, rtol=1e-5)
    np.testing.assert_allclose(angles[0], [45, 45, 90], atol=1e-4)  # left eye, right eye, nose
    np.testing.assert_allclose(angles[2], [45, 90, 45], atol=1e-4)  # left eye, right eye, right mouth corner
    np.testing.assert_allclose(angles[4], [0, 180, 0], atol=1e-4)  # left eye, nose, right mouth corner
    assert ratios(SQUARE) == dict(zip(NAMES, (0.5, 0.5, 0.5, 0.5, 0.5, 0, 1), strict=True))


def test_each_ratio_of_landmarks_says_what_its_name_says():
    wide = SQUARE * np.float32([3, 1])
    assert ratios(wide)["eyes"] == ratios(wide)["mouth"] == pytest.approx(6 / (6 + 2))
    low = SQUARE.copy()
    low[2] = (1, 1.5)
    assert ratios(low)["nose"] == pytest.approx(0.25)
    turned = SQUARE.copy()
    turned[2] = (2, 1)
    assert ratios(turned)["nose to eyes"] == pytest.approx(np.sqrt(5) / (np.sqrt(5) + 1))
    assert ratios(turned)["nose to mouth"] == ratios(turned)["nose to eyes"]
    tilted = SQUARE.copy()
    tilted[4] = (2, 4)
    assert ratios(tilted)["tilt"] == pytest.approx(np.pi / 4)


def test_landmarks_do_not_depend_on_position_size_and_rotation():
    rng = np.random.default_rng(0)
    points = TEMPLATES["dlib"] * 100 + rng.normal(0, 3, (5, 2))
    angle = np.radians(37)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = points @ turn.T
    others = [points + np.array([500, -80]), points * 3.7, turned, turned * 0.5 + np.array([7, 9])]
    vectors = landmarks.landmarks(np.array([points, *others], np.float32))
    np.testing.assert_allclose(vectors[1:], np.repeat(vectors[:1], 4, axis=0), atol=2e-5)
    # Another face is another vector.
    assert np.abs(landmarks.landmarks((points * (1, 1.2))[None].astype(np.float32)) - vectors[0]).max() > 0.05


def test_a_face_without_usable_landmarks_has_the_geometry_of_an_average_face_and_says_so():
    average = TEMPLATES["dlib"] * 1.4 - 0.2  # without the border of the template
    np.testing.assert_allclose(landmarks.AVERAGE, average, atol=1e-9)
    missing = np.full((5, 2), np.nan)
    found = landmarks.landmarks(np.array([average, missing], np.float32))
    np.testing.assert_allclose(found[0, :-1], found[1, :-1], atol=1e-6)
    assert found[:, -1].tolist() == [1, 0]


def test_points_at_one_place_still_give_finite_numbers():
    assert np.isfinite(landmarks.landmarks(np.ones((1, 5, 2), np.float32))).all()


def test_sharpness_is_the_variance_of_the_laplacian(face):
    crops, image = face(sharpness.SIDE)
    neighbours = image[:-2, 1:-1] + image[2:, 1:-1] + image[1:-1, :-2] + image[1:-1, 2:]
    middle = (neighbours - 4 * image[1:-1, 1:-1])[27:83, 27:83]  # from the 28th to the 84th of 112 pixels
    np.testing.assert_allclose(computed("sharpness", crops), [[middle.var()]], rtol=1e-6)
    assert computed("sharpness", np.full_like(crops, 77)).tolist() == [[0.0]]


def test_a_blurred_copy_is_less_sharp_and_a_mirrored_or_brighter_one_as_sharp(face):
    import cv2

    (crop,) = face(sharpness.SIDE)[0] // 2
    copies = [crop, *(cv2.GaussianBlur(crop, (0, 0), sigma) for sigma in (0.5, 1, 2, 4))]
    found = computed("sharpness", np.stack(copies))[:, 0]
    assert (np.diff(found) < 0).all()
    outside = crop.copy()
    outside[:, :20] = outside[90:] = 0  # the crop reaches beyond the image
    same = computed("sharpness", np.stack([crop, crop[:, ::-1], crop + 100, outside]))[:, 0]
    assert len(set(same.tolist())) == 1


def test_listing_the_backbones_imports_no_library_that_computes_them():
    asked = """
import sys
from featurekit.networks.backbones import BACKBONES
BACKBONES.names()
print([name for name in ("cv2", "skimage", "dlib", "scipy", "torch") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_backbone_that_reads_landmarks_says_so():
    one = BACKBONES["landmarks"]
    assert (one.reads, (one.template, one.input_size)) == ("landmarks", LANDMARKS)
    assert BACKBONES["hog"].reads == "crop"
