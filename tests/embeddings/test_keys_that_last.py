"""What an older version extracted is not computed anew: keys, folders and bytes are what they were.

The literals were computed by the code before the cache and the embeddings were taken apart. One that has to
change throws away every cache there is.
"""

from dataclasses import asdict, replace
from hashlib import sha256

import numpy as np
import pytest

from featurekit.cache.keys import recipe_key
from featurekit.cache.store import Store
from featurekit.embeddings.recipe import Recipe

FACES = {
    "detector": "centerface",
    "attempts": [[96, 0.1], [640, 0.5]],
    "choose": "center",
    "min_face": 16,
    "faces_version": 3,
}
PLAIN = Recipe(
    faces=FACES,
    backbone="dlib_age",
    layer="pooled",
    weights="ab" * 32,
    input_size=150,
    template="dlib_face",
    normalization={"mean": [122.782, 117.001, 104.298], "scale": 256.0},
    precision="fp32",
    engine="cpu",
    extraction_version=2,
)
CUDA = replace(
    PLAIN,
    backbone="mobilenet_v2",
    layer="features",
    weights="cd" * 32,
    input_size=224,
    template="imagenet",
    normalization={"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    precision="bf16",
    engine="cuda",
)


@pytest.mark.parametrize(
    ("recipe", "key"),
    [
        (PLAIN, "16881efe305a5fc88895cacb9b684dc112a2d3a95c950c51bc89522add6ac906"),
        (replace(PLAIN, mirrored=True), "f92509570d962fabd6ec30044df9655ed4c3e292173f409d5e22ddf4d090f2b4"),
        (CUDA, "3c12c04bc2c8c241210a9ff7a8a8446db9108f5492df79ca7ca30ac72e300ca8"),
    ],
)
def test_a_recipe_has_the_key_and_the_folder_it_always_had(tmp_path, recipe, key):
    shelf = Store(tmp_path).shelf("embeddings", asdict(recipe))
    assert (recipe.key, shelf.key) == (key, key)
    assert shelf.folder == tmp_path / "embeddings" / key[:16]


def test_recipes_that_are_no_embeddings_have_the_key_they_always_had(settings):
    assert recipe_key({"a": 1, "b": [2, 3]}) == (
        "efbd0040190fb0871831e606c581f8a66db79d8e2bb836745a70051306956070"
    )
    assert recipe_key(settings.recipe()) == "7c61ae08e992befad32519ded71d6042336bac1b9b39ed8b160796795ab020a0"


def test_what_comes_with_featurekit_has_the_key_it_always_had(recipes):
    assert recipes["mean_color:mean"].key == (
        "8ffdd0a77e5e84f08b1907539732f91c99c806dc6cbfd8a5ed09cd8f36b131eb"
    )


def test_the_same_rows_make_the_bytes_they_always_made(tmp_path):
    shelf = Store(tmp_path).shelf("embeddings", asdict(PLAIN))
    keys = np.arange(64, dtype=np.uint8).reshape(2, 32)
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    shelf.append(keys, {"vectors": vectors, "by_landmarks": np.array([True, False])})
    assert {path.name: sha256(path.read_bytes()).hexdigest() for path in shelf.folder.iterdir()} == {
        "488675539cf7aece0847eefa51dbf7c0caa5b027df4f7ce2b632e68896052f3c.safetensors": (
            "488675539cf7aece0847eefa51dbf7c0caa5b027df4f7ce2b632e68896052f3c"
        ),
        "recipe.json": "7d4466cea1f48de5ecf14112a39ae6b2a3e389e9a1a6040b24adaedcf7ba02f9",
    }
