"""dlib's face recognition network is read from dlib's own file, and says what dlib says."""

from dataclasses import replace

import numpy as np
import pytest

from featurekit.errors import WeightsError
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES
from featurekit.networks.backbones._dlib_face_module import BLOCKS, _enlargement
from featurekit.networks.engines import open_session

LAYERS = ("pooled", "embedding")
# Of picture(), by dlib 20.0.1: face_recognition_model_v1(file).compute_face_descriptor(picture()).
FIRST = [-0.050796, 0.122935, 0.048938, -0.00912, -0.056669, -0.063182, -0.06968, -0.030174]
NORM = 1.3127516


@pytest.fixture(scope="module")
def file(made_up_dlib_file):
    return made_up_dlib_file()


def picture():
    rows, columns, colours = np.ogrid[:150, :150, :3]
    return ((rows + 2 * columns + 40 * colours) // 3 % 256).astype(np.uint8)


def test_both_engines_read_the_same_from_dlibs_format(file):
    one = BACKBONES["dlib_face"]
    network = replace(one.load(file, LAYERS), input_size=one.input_size, normalization=one.normalization)
    noise = np.random.default_rng(1).integers(0, 256, (2, 150, 150, 3), dtype=np.uint8)
    pixels = np.stack([picture(), *noise])
    found = [
        open_session(network, device="cpu", precision="fp32", engine=engine)(pixels)
        for engine in ("openvino", "torch")
    ]
    assert [array.shape for array in found[0]] == [(3, 256), (3, 128)]
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(one).max())
        assert one.std(axis=0).max() > 0


def test_the_embedding_is_the_pooled_layer_through_one_matrix(file):
    session = BACKBONES["dlib_face"].open(file, LAYERS, device="cpu", precision="fp32")
    pooled, embedding = session(picture()[None])
    matrix = np.frombuffer(file[-256 * 128 * 4 :], "<f4").reshape(256, 128)
    np.testing.assert_allclose(pooled @ matrix, embedding, rtol=1e-4, atol=1e-4 * np.abs(embedding).max())


def test_its_weights_are_as_large_as_an_optimizer_expects_and_its_answers_the_same(file, monkeypatch):
    """Adam's first steps are as large as the rate, whatever a weight's size: small weights are lost."""
    import torch

    pixels = torch.rand(1, 3, 150, 150, generator=torch.Generator().manual_seed(0)) - 0.5
    network = BACKBONES["dlib_face"].trainable(file)
    convolutions = [weight for weight in network.parameters() if weight.dim() == 4 and len(weight) > 1]
    assert len(convolutions) == 29
    for weight in convolutions:
        assert 0.7 <= weight.square().mean().sqrt() / np.sqrt(2 / weight[0].numel()) <= 1.42
    monkeypatch.setattr(
        "featurekit.networks.backbones._dlib_face_module._enlargement", lambda weight: np.float32(1)
    )
    as_they_are = BACKBONES["dlib_face"].trainable(file)
    with torch.no_grad():
        assert torch.equal(network(pixels)[0], as_they_are(pixels)[0])


def test_weights_that_are_all_zero_are_left_so():
    assert np.isfinite(_enlargement(np.zeros((4, 3, 3, 3), np.float32)))


@pytest.mark.parametrize(
    "wrong",
    ["", "no network", "a block less", "a wider block", "a shorter embedding", "a byte less", "cut off"],
)
def test_another_network_s_file_is_refused(wrong, file, made_up_dlib_file):
    content = {
        "": lambda: b"",
        "no network": lambda: b"input_rgb_image_sized and no network at all",
        "a block less": lambda: made_up_dlib_file(blocks=BLOCKS[:-1]),
        "a wider block": lambda: made_up_dlib_file(blocks=((64, False), *BLOCKS[1:])),
        "a shorter embedding": lambda: made_up_dlib_file(embedding=64),
        "a byte less": lambda: file[:-1],
        "cut off": lambda: file[:1_000_000],
    }[wrong]()
    with pytest.raises(WeightsError, match="not a file of dlib's face recognition network"):
        BACKBONES["dlib_face"].load(content, LAYERS).module()


@pytest.mark.slow  # where CI fetches the file
@pytest.mark.skipif(not weights.present("dlib_face"), reason="absent: featurekit weights fetch dlib_face")
def test_the_real_file_says_what_dlib_says_of_a_picture():
    data = weights.read("dlib_face")
    session = BACKBONES["dlib_face"].open(data, ["embedding"], device="cpu", precision="fp32")
    found = session(picture()[None])[0][0]
    np.testing.assert_allclose(found[:8], FIRST, atol=1e-5)
    assert np.linalg.norm(found) == pytest.approx(NORM, abs=1e-5)
