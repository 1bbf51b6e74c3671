"""VGG-Face is read from its file for torch, and computes what its paper says, layer by layer."""

import numpy as np
import pytest

from featurekit.errors import WeightsError
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES
from tests.networks.made_up import empty, saved

# The layers as Parkhi et al. (2015) list them: inputs and outputs of a convolution, "M" for the maximum.
PAPER = (
    *((3, 64), (64, 64), "M"),
    *((64, 128), (128, 128), "M"),
    *((128, 256), (256, 256), (256, 256), "M"),
    *((256, 512), (512, 512), (512, 512), "M"),
    *((512, 512), (512, 512), (512, 512), "M"),
)
CONVOLUTIONS = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3", "5_1", "5_2", "5_3")


@pytest.fixture(scope="module")
def state():
    """Untrained tensors; all rows of a matrix are alike, so that they need no space, and biases differ."""
    import torch

    made, generator = {}, torch.Generator().manual_seed(0)

    def numbers(*shape):
        scale = (2 / np.prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.1
        return torch.randn(shape, generator=generator) * scale

    for name, (inputs, outputs) in zip(CONVOLUTIONS, (one for one in PAPER if one != "M"), strict=True):
        made[f"conv{name}.weight"], made[f"conv{name}.bias"] = (
            numbers(outputs, inputs, 3, 3),
            numbers(outputs),
        )
    for name, inputs, outputs in (("fc6", 512 * 7 * 7, 4096), ("fc7", 4096, 4096), ("fc8", 4096, 2622)):
        made[f"{name}.weight"] = numbers(1, inputs).expand(outputs, inputs)
        made[f"{name}.bias"] = numbers(outputs)
    return made


def by_hand(state, pixels):
    """Return the maps of the last block."""
    from torch.nn import functional

    found, names = pixels, iter(CONVOLUTIONS)
    for layer in PAPER:
        if layer == "M":
            found = functional.max_pool2d(found, kernel_size=2, stride=2)
        else:
            name = f"conv{next(names)}"
            weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
            found = functional.conv2d(found, weight, bias, stride=1, padding=1).clamp(min=0)
    return found


def test_its_convolutions_are_those_of_the_paper(state):
    import torch

    pixels = 40 * torch.randn(2, 3, 32, 64, generator=torch.Generator().manual_seed(1))
    # As torch wrote files when this one was made.
    data = saved(state, _use_new_zipfile_serialization=False)
    with torch.inference_mode():
        (found,) = BACKBONES["vgg_face"].load(data, ["pooled"]).module()(pixels)
        expected = by_hand(state, pixels).flatten(2).mean(dim=2)
    assert found.shape == (2, 512)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.slow
def test_its_matrices_are_those_of_the_paper(state):
    import torch

    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    mean = torch.tensor([129.186279296875, 104.76238250732422, 93.59396362304688])  # red, green, blue
    with torch.inference_mode():
        maps = by_hand(state, (torch.tensor(images).float() - mean).permute(0, 3, 1, 2))
        fc6 = (maps.reshape(2, -1) @ state["fc6.weight"][0])[:, None] + state["fc6.bias"]
        fc7 = (fc6.clamp(min=0) @ state["fc7.weight"][0])[:, None] + state["fc7.bias"]
    layers = ["fc6", "fc7", "pooled"]
    session = BACKBONES["vgg_face"].open(saved(state), layers, device="cpu", precision="fp32")
    expected = (fc6.clamp(min=0), fc7.clamp(min=0), maps.mean(dim=(2, 3)))
    for name, found, wanted in zip(layers, session(images), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()), err_msg=name)


@pytest.mark.parametrize(("layer", "has"), [("pooled", set()), ("fc6", {"fc6"}), ("fc7", {"fc6", "fc7"})])
def test_nothing_is_kept_that_a_layer_does_not_need(layer, has, state):
    module = BACKBONES["vgg_face"].load(saved(empty(state)), [layer]).module()
    kept = {name.partition(".")[0] for name in module.state_dict()}
    assert {name for name in kept if name.startswith("fc")} == has
    assert len(kept) == 13 + len(has)


def test_a_file_of_another_network_is_refused(state):
    with pytest.raises(WeightsError, match=r"does not fit vgg_face: Missing key\(s\)"):
        BACKBONES["vgg_face"].load(saved({"features.0.bias": state["conv1_1.bias"]}), ["fc7"]).module()
    more = saved(empty(state) | {"fc9.weight": state["fc8.bias"]})
    with pytest.raises(WeightsError, match=r'does not fit vgg_face: Unexpected key\(s\).*"fc9.weight"'):
        BACKBONES["vgg_face"].load(more, ["fc7"]).module()


def test_a_missing_file_is_named_with_its_page_and_how_to_add_it(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        weights.read("vgg_face")
    assert str(caught.value) == (
        "The weight file of vgg_face is missing: vgg_face_dag.pth. Get the file from"
        " https://www.robots.ox.ac.uk/~albanie/pytorch-models.html, and add it: featurekit weights add"
        " vgg_face_dag.pth"
    )
