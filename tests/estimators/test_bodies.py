"""The networks that start from nothing, up to their features."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch  # noqa: TID253  # the whole file is about its networks
from torch import nn  # noqa: TID253

from featurekit.estimators.levi_hassner import levi_hassner
from featurekit.estimators.residual_attention import residual_attention
from featurekit.estimators.wide_gabor import KERNEL, ORIENTATIONS, WAVELENGTHS, gabor_kernels, wide_gabor


def evaluated(make_body, side):
    return make_body(SimpleNamespace(side=side, dropout=0.2)).eval()


@pytest.mark.parametrize("make_body", [levi_hassner, residual_attention, wide_gabor])
@pytest.mark.parametrize("side", [48, 64, 96])
def test_a_body_gives_as_many_features_as_it_says_at_any_side(make_body, side):
    body = evaluated(make_body, side)
    pixels = torch.randint(0, 256, (2, 3, side, side)).float()
    with torch.inference_mode():
        features = body(pixels)
    assert features.shape == (2, body.dim)
    assert 0.01 < float(features.std()) < 100


def test_levi_hassner_has_the_layers_of_the_paper():
    shapes = []
    body = evaluated(levi_hassner, 227)
    for layer in body.maps:
        if isinstance(layer, nn.MaxPool2d):
            layer.register_forward_hook(lambda layer, given, maps: shapes.append(tuple(maps.shape[1:])))
    with torch.inference_mode():
        body(torch.zeros(1, 3, 227, 227))
    assert shapes == [(96, 28, 28), (256, 14, 14), (384, 7, 7)]
    dense = [layer for layer in body.dense if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in dense] == [(384 * 7 * 7, 512), (512, 512)]


def test_levi_hassners_normalization_is_torchs():
    ours = next(layer for layer in evaluated(levi_hassner, 96).maps if hasattr(layer, "band"))
    maps = 40 * torch.rand(2, 96, 5, 7)
    torch.testing.assert_close(ours(maps), nn.LocalResponseNorm(5)(maps))


@pytest.mark.parametrize(("make_body", "side"), [(residual_attention, 96), (wide_gabor, 96)])
def test_a_small_body_is_small(make_body, side):
    from torch.utils.flop_counter import FlopCounterMode

    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        evaluated(make_body, side)(torch.zeros(1, 3, side, side))
    assert counter.get_total_flops() / 2 < 80e6  # it counts a multiplication and an addition as two


@pytest.mark.parametrize("is_training", [False, True])
def test_attention_is_a_map_of_each_stage_and_leaves_no_trace(is_training):
    body = evaluated(residual_attention, 64).train(is_training)
    before = {name: tensor.clone() for name, tensor in body.state_dict().items()}
    pixels = torch.randint(0, 256, (3, 3, 64, 64)).float()
    maps = body.attention(pixels)
    assert [tuple(one.shape) for one in maps] == [(3, 16, 16), (3, 8, 8), (3, 4, 4)]
    assert all(0 <= float(one.min()) < float(one.max()) <= 1 for one in maps)
    assert not any(one.requires_grad for one in maps)
    assert body.training is is_training
    assert all((tensor == before[name]).all() for name, tensor in body.state_dict().items())
    again = body.eval().attention(pixels[:1])
    assert again[0].numpy() == pytest.approx(maps[0][:1].numpy(), abs=1e-5)


def test_attention_is_what_weighs_the_places():
    """Maps without a place that counts leave only the shortcut: what is added is nothing."""
    body = evaluated(residual_attention, 64)
    pixels = torch.randint(0, 256, (2, 3, 64, 64)).float()
    block = body.stages[0][0]
    nn.init.zeros_(block.places.weight)
    nn.init.constant_(block.places.bias, -100.0)
    with torch.inference_mode():
        maps = torch.rand(2, 32, 16, 16)
        found, places = block(maps)
    assert (places == 0).all()
    assert (found == maps).all()
    assert body.attention(pixels)[0].shape == (2, 16, 16)


def test_gabor_filters_say_nothing_of_even_light_and_are_as_long_as_each_other():
    kernels = gabor_kernels()
    assert kernels.sum(axis=(1, 2)) == pytest.approx(0, abs=1e-5)
    assert np.linalg.norm(kernels, axis=(1, 2)) == pytest.approx(1)


@pytest.mark.parametrize("wavelength", range(len(WAVELENGTHS)))
@pytest.mark.parametrize("orientation", range(ORIENTATIONS))
def test_stripes_answer_most_to_the_filter_of_their_own_direction(wavelength, orientation):
    down, right = np.mgrid[:KERNEL, :KERNEL] - KERNEL // 2
    angle = np.pi * orientation / ORIENTATIONS
    along = right * np.cos(angle) + down * np.sin(angle)
    stripes = np.exp(2j * np.pi * along / WAVELENGTHS[wavelength])
    pairs = gabor_kernels().reshape(len(WAVELENGTHS), ORIENTATIONS, 2, KERNEL, KERNEL)
    energy = (np.abs((pairs * stripes).sum(axis=(3, 4))) ** 2).sum(axis=2)
    assert energy[wavelength].argmax() == orientation
