"""Networks made ready to run."""

import numpy as np

from featurekit.embeddings.open_networks import open_networks
from featurekit.embeddings.recipe import make_recipes


def test_a_mirrored_vector_is_the_mean_of_a_face_and_its_mirror_image(corner_color, settings):
    crops = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    vectors = {}
    for mirrored in (False, True):
        recipes = make_recipes([corner_color], settings, device="cpu", mirrored=mirrored)
        (network,) = open_networks(list(recipes.values()), threads=1)
        vectors[mirrored] = network.vectors(crops)["corner_color:corner"]
    np.testing.assert_array_equal(vectors[False], crops[:, 0, 0])
    np.testing.assert_allclose(vectors[True], (crops[:, 0, 0].astype(float) + crops[:, 0, -1]) / 2)
