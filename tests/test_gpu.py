"""What a GPU does: the same as the processor, sooner. Skipped where torch finds none."""

from contextlib import contextmanager

import numpy as np
import pytest

from featurekit.data.targets import AGE, GENDER
from featurekit.errors import EngineError
from featurekit.estimators import CLASSIFIERS, Resources, fresh
from featurekit.estimators._networks.augmentation import NOTHING, Augmentation, changed_together
from featurekit.networks.backbones import BACKBONES
from featurekit.networks.engines import cuda_is_usable
from featurekit.networks.weights import read

pytestmark = pytest.mark.skipif(not cuda_is_usable(), reason="torch finds no GPU here")

SIDE = 64


def people(n: int = 96, seed: int = 0):
    """Faces that are bright above or below, their gender and age, and three faces a person."""
    rng = np.random.default_rng(seed)
    kinds = np.repeat(np.arange(n // 3) % 2, 3)
    faces = rng.integers(0, 120, (n, SIDE, SIDE, 3))
    for face, kind in zip(faces, kinds, strict=True):
        face[kind * SIDE // 2 : (kind + 1) * SIDE // 2] += 120
    return faces.astype(np.uint8), kinds, 20.0 + 40 * kinds, np.repeat([f"s{i}" for i in range(n // 3)], 3)


def trained(name: str = "residual_attention", *, seed: int = 0, told=None, **parameters):
    X, y, age, groups = people()
    made = {"side": SIDE, "epochs": 6, "head_epochs": 0, "batch_size": 16, "device": "cuda"} | parameters
    networks = ("mobilenet_v2",) if CLASSIFIERS[name].starts_from else ()
    may_use = Resources(threads=2, **(told or {}))
    cnn = fresh(CLASSIFIERS[name], GENDER, networks=networks, parameters=made, seed=seed, resources=may_use)
    return cnn.fit(X, y, groups=groups, also={AGE: age})


@contextmanager
def little_memory(share: float):
    """Let torch have this share of the GPU's memory."""
    import torch

    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(share)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


def of_backbone(name: str, pixels, **where):
    backbone = BACKBONES[name]
    session = backbone.open(read(backbone.weights), list(backbone.layers), **where)
    return session, session(pixels)


@pytest.mark.weights
@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.9999), ("bf16", 0.99)])
def test_vectors_point_where_the_processors_point(precision, least):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 224, 224, 3), dtype=np.uint8)
    session, ours = of_backbone("mobilenet_v2", pixels, device="cuda", precision=precision)
    assert session.achieved.device.startswith("cuda: ")
    assert session.achieved.precision == precision
    _, theirs = of_backbone("mobilenet_v2", pixels[:8], device="cpu", precision="fp32")
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape[0] == 300
        for own, one in zip(mine, other, strict=False):
            assert own @ one / np.linalg.norm(own) / np.linalg.norm(one) > least


@pytest.mark.weights
def test_a_batch_that_does_not_fit_is_halved():
    pixels = np.random.default_rng(0).integers(0, 256, (512, 224, 224, 3), dtype=np.uint8)
    _, whole = of_backbone("mobilenet_v2", pixels, device="cuda", precision="fp32")
    with little_memory(0.012):
        session, ours = of_backbone("mobilenet_v2", pixels, device="cuda", precision="fp32")
    assert session.batch < 256
    np.testing.assert_allclose(ours[0], whole[0], rtol=1e-2, atol=1e-2)


def test_faces_are_changed_as_on_the_processor():
    import torch

    rng = np.random.default_rng(0)
    crops = torch.from_numpy(rng.integers(0, 256, (48, 40, 40, 3), dtype=np.uint8))
    changes = [NOTHING, *(Augmentation().draw(rng) for _ in range(47))]
    ours = changed_together(crops.cuda(), changes, 32)
    assert ours.is_cuda
    off = (ours.cpu() - changed_together(crops, changes, 32)).abs()
    assert off.max() <= 4
    assert (off > 0).float().mean() < 0.02


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("residual_attention", "bf16"),
        ("residual_attention", "fp32"),
        ("levi_hassner", "bf16"),
        ("wide_gabor", "bf16"),
        pytest.param("multitask_cnn", "bf16", marks=pytest.mark.weights),
        pytest.param("gender_to_age_cnn", "bf16", marks=pytest.mark.weights),
    ],
)
def test_a_network_learns_on_the_gpu_and_reads_on_the_processor(name, precision):
    X = people(seed=1)[0]
    cnn = trained(name, precision=precision, epochs=12, erasing=0.0, views=1)
    assert cnn.training_["device"].startswith("cuda: ")
    assert cnn.training_["precision"] == precision
    losses = [line["loss"] for line in cnn.training_["history"]]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    ours = cnn.predict_proba(X)
    facts, tensors = cnn.to_tensors()
    networks = ("mobilenet_v2",) if CLASSIFIERS[name].starts_from else ()
    other = fresh(CLASSIFIERS[name], GENDER, networks=networks, resources=Resources(threads=2))
    theirs = other.from_tensors(facts | {"precision": "fp32"}, tensors).predict_proba(X)
    assert next(other.network_.parameters()).device.type == "cpu"
    assert np.abs(ours - theirs).max() < (0.1 if precision == "bf16" else 0.01)


def test_a_step_that_does_not_fit_is_taken_in_parts():
    whole = trained(epochs=2, batch_size=64, side=224)
    with little_memory(0.006):
        parts = trained(epochs=2, batch_size=64, side=224)
    lines = zip(whole.training_["history"], parts.training_["history"], strict=True)
    for one, other in lines:
        assert one["loss"] == pytest.approx(other["loss"], rel=0.2)


def test_a_network_that_fits_into_no_memory_is_refused():
    with little_memory(0.0001), pytest.raises(EngineError, match="does not fit into the memory of the GPU"):
        trained(epochs=1)


def test_a_training_that_was_killed_goes_on_where_it_was(tmp_path, monkeypatch):
    class Killed(BaseException):
        """What a watcher raises where somebody presses Ctrl-C."""

    monkeypatch.setattr("featurekit.estimators._networks.trainer.SAVE_EVERY", {"cpu": 0.0, "cuda": 0.0})

    def kill(text: str, share: float) -> None:
        if text.startswith("epoch 3 of"):
            raise Killed

    told = {"checkpoints": tmp_path}
    with pytest.raises(Killed):
        trained(told=told | {"progress": kill})
    said: list[str] = []
    cnn = trained(told=told | {"progress": lambda text, share: said.append(text)})
    assert cnn.training_["epochs"] == 6
    assert said[0].startswith("epoch 4 of 6") or said[0].startswith("epoch 5 of 6")
