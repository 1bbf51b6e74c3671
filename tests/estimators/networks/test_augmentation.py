"""Faces as they might have been photographed: what is done to them, and that nothing else is."""

from dataclasses import fields

import numpy as np
import pytest
import torch  # noqa: TID253  # the whole file is about its tensors
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode  # noqa: TID253
from torchvision.transforms.v2.functional import rotate  # noqa: TID253

from featurekit.estimators._networks.augmentation import (
    NOTHING,
    Augmentation,
    _part,
    changed,
    changed_together,
)

OFF = {"flip": False, "rotation": 0.0, "zoom": 0.0, "jitter": 0.0, "erasing": 0.0}


def face(side: int = 24, seed: int = 0):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def test_a_face_to_which_nothing_happens_keeps_its_pixels():
    assert (changed(face(), NOTHING, 24) == face()).all()


def test_with_every_change_switched_off_nothing_happens():
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert Augmentation(**OFF).draw(rng) == NOTHING


@pytest.mark.parametrize("on", OFF)
def test_switching_a_change_on_makes_that_change_alone(on):
    default = {one.name: one.default for one in fields(Augmentation)}
    field = {"flip": "is_flipped", "rotation": "angle", "zoom": "box", "jitter": "light", "erasing": "erased"}
    rng = np.random.default_rng(0)
    drawn = [Augmentation(**(OFF | {on: default[on]})).draw(rng) for _ in range(40)]
    own = field.pop(on)
    assert len({getattr(change, own) for change in drawn}) > 1
    for other in field.values():
        assert {getattr(change, other) for change in drawn} == {getattr(NOTHING, other)}
    assert any((changed(face(), change, 24) != face()).any() for change in drawn)


@pytest.mark.parametrize("off", OFF)
def test_switching_a_change_off_leaves_the_others_as_they_were(off):
    field = {"flip": "is_flipped", "rotation": "angle", "zoom": "box", "jitter": "light", "erasing": "erased"}
    rngs = [np.random.default_rng(0) for _ in range(2)]
    for _ in range(20):
        full = Augmentation().draw(rngs[0])
        less = Augmentation(**{off: OFF[off]}).draw(rngs[1])
        assert less == full._replace(**{field[off]: getattr(NOTHING, field[off])})
    assert rngs[0].random() == rngs[1].random()


@pytest.mark.parametrize("side", [24, 17, 40, 12])
@pytest.mark.parametrize("on", [*OFF, "everything", "nothing"])
def test_faces_changed_together_are_those_changed_one_by_one(on, side):
    """A GPU's way and the processor's, on smooth faces, as photographs are, and on noise."""
    default = {one.name: one.default for one in fields(Augmentation)}
    chosen = {"everything": default, "nothing": OFF}.get(on) or OFF | {on: default[on]}
    rng = np.random.default_rng(0)
    smooth = np.linspace(0, 255, 24 * 24 * 3).reshape(24, 24, 3).astype(np.uint8)
    crops = np.stack([smooth, smooth[:, ::-1], *(face(seed=seed) for seed in range(38))])
    changes = [Augmentation(**chosen).draw(rng) for _ in crops]
    assert on == "nothing" or set(changes) != {NOTHING}
    together = changed_together(torch.from_numpy(crops), changes, side)
    alone = np.stack([changed(crop, change, side) for crop, change in zip(crops, changes, strict=True)])
    alone = torch.from_numpy(alone).permute(0, 3, 1, 2)
    off = (together - alone).abs()
    assert off.max() <= 4
    assert (off > 1).float().mean() < 0.03


@pytest.mark.parametrize("is_flipped", [False, True])
def test_one_step_does_what_several_do(is_flipped):
    """Mirrored, rotated, cropped and resized one after the other, a smooth face is about the same."""
    rows, columns = np.mgrid[:160, :160] / 160
    crop = np.stack([rows, columns, (1 + np.sin(6 * rows) * np.cos(5 * columns)) / 2], axis=2)
    crop = (40 + 180 * crop).astype(np.uint8)
    box = (0.1, 0.05, 0.8, 0.85)
    together = changed(crop, NOTHING._replace(is_flipped=is_flipped, angle=8.0, box=box), 64)
    turned = changed(crop, NOTHING._replace(is_flipped=is_flipped, angle=8.0), 160)
    alone = changed(turned, NOTHING._replace(box=box), 64)
    assert np.abs(together.astype(int) - alone).max() <= 5


@pytest.mark.parametrize("angle", [-45.0, -9.7, -0.1, 3.3, 10.0])
@pytest.mark.parametrize("side", [24, 25, 160])
def test_a_face_is_turned_as_torchvision_turns_it(angle, side):
    rng = np.random.default_rng(0)
    smooth = np.linspace(0, 255, side * side * 3).reshape(side, side, 3).astype(np.uint8)
    for crop in (smooth, rng.integers(0, 256, (side, side, 3), dtype=np.uint8)):
        turned = changed(crop, NOTHING._replace(angle=angle), side)
        theirs = rotate(torch.tensor(crop).permute(2, 0, 1), angle, InterpolationMode.BILINEAR)
        assert np.abs(turned.astype(int) - theirs.permute(1, 2, 0).numpy()).max() <= 1


def test_changes_are_no_larger_than_allowed():
    rng = np.random.default_rng(0)
    drawn = [Augmentation().draw(rng) for _ in range(2000)]
    assert 0.45 < np.mean([change.is_flipped for change in drawn]) < 0.55
    assert max(abs(change.angle) for change in drawn) <= 10
    areas = [change.box[2] * change.box[3] for change in drawn]
    assert 0.7 - 1e-9 < min(areas) < max(areas) <= 1
    assert all(0.8 <= factor <= 1.2 for change in drawn for factor in change.light)
    erased = np.array([change.erased[2] * change.erased[3] for change in drawn])
    assert 0.2 < (erased > 0).mean() < 0.3
    assert 0.02 - 1e-9 < erased[erased > 0].min() < erased.max() <= 0.2 + 1e-9


@given(area=st.floats(0, 1), stretch=st.floats(-3, 3), down=st.floats(0, 1), right=st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_a_part_lies_inside_the_face(area, stretch, down, right):
    top, left, height, width = _part(area, stretch, down, right)
    assert 0 <= top <= top + height <= 1 + 1e-12
    assert 0 <= left <= left + width <= 1 + 1e-12
    if height < 1 and width < 1:
        assert height * width == pytest.approx(area)


@given(side=st.integers(1, 400), down=st.floats(0, 1), area=st.floats(0.01, 1))
@settings(max_examples=200, deadline=None)
def test_in_pixels_too(side, down, area):
    top, _, height, _ = (round(side * part) for part in _part(area, 0.1, down, down))
    assert top + height <= side


@given(seed=st.integers(0, 2**32 - 1), own=st.integers(8, 40), side=st.integers(8, 40))
@settings(max_examples=50, deadline=None)
def test_whatever_happens_a_face_stays_a_picture_of_the_side(seed, own, side):
    rng = np.random.default_rng(seed)
    found = changed(face(own), Augmentation(erasing=0.9).draw(rng), side)
    assert found.shape == (side, side, 3)
    assert found.dtype == np.uint8


def test_changes_are_what_they_are_called():
    plain = np.zeros((8, 8, 3), np.uint8)
    plain[:, :4] = 200
    mirrored = changed(plain, NOTHING._replace(is_flipped=True), 8)
    assert (mirrored == plain[:, ::-1]).all()
    part = changed(plain, NOTHING._replace(box=(0.0, 0.5, 1.0, 0.5)), 8)
    assert (part == 0).all()
    darker = changed(plain, NOTHING._replace(light=(0.5, 1.0, 1.0)), 8)
    assert (darker[:, :4] == 100).all()
    erased = changed(plain, NOTHING._replace(erased=(0.5, 0.0, 0.5, 1.0)), 8)
    assert (erased[:4] == plain[:4]).all()
    assert (erased[4:] == 127).all()
