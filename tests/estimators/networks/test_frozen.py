"""The frozen half of a network: computed once for each view, it trains what it trained before."""

from copy import deepcopy
from dataclasses import fields

import numpy as np
import pytest
import torch  # noqa: TID253  # the whole file is about torch's networks
from torch import nn  # noqa: TID253

from featurekit.data.targets import GENDER
from featurekit.estimators import Resources
from featurekit.estimators._networks import frozen, trainer
from featurekit.estimators._networks.augmentation import NOTHING
from featurekit.estimators._networks.estimator import CNN
from featurekit.estimators._networks.halves import split
from featurekit.estimators._networks.schedule import FROZEN_VIEWS, Schedule, set_stage
from featurekit.estimators.levi_hassner import levi_hassner
from featurekit.estimators.residual_attention import residual_attention
from featurekit.estimators.wide_gabor import wide_gabor

SIDE = 16


class Block(nn.Module):
    """Maps that become wider inside, and a shortcut; the end of a half lies inside."""

    def __init__(self):
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(4, 24, 1), nn.Conv2d(24, 4, 1)

    def forward(self, maps):
        if maps.shape[1] != 4:  # torch.fx cannot follow this
            raise ValueError
        return maps + self.narrow(self.wide(maps).relu())


def body_with_block(cnn):
    body = nn.Sequential(
        nn.Conv2d(3, 4, 5, stride=2), nn.BatchNorm2d(4), Block(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    )
    body.dim = 16
    return body


def people(n: int = 30):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    return (rng.integers(0, 120, (n, SIDE, SIDE, 3)) + y[:, None, None, None] * 100).astype(np.uint8), y


def cnn(**parameters) -> CNN:
    made = {
        "make_body": body_with_block,
        "side": SIDE,
        "device": "cpu",
        "precision": "fp32",
        "epochs": 5,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "head_epochs": 1,
        "last_epochs": 4,
        "frozen_views": 2,
    }
    return CNN(target=GENDER, **(made | parameters))


def weights(fitted: CNN) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in fitted.network_.state_dict().items()}


def same(ours, theirs) -> bool:
    return ours.keys() == theirs.keys() and all((ours[name] == theirs[name]).all() for name in ours)


@pytest.fixture
def always(monkeypatch):
    """Open the engine for a few faces too."""
    monkeypatch.setattr(trainer, "WORTHWHILE", 0)


@pytest.fixture
def computed(monkeypatch, always):
    """The changes of every face that the engine computed."""
    seen = []
    results = frozen.FrozenHalf.results

    def counting(self, crop, change):
        seen.append(change)
        return results(self, crop, change)

    monkeypatch.setattr(frozen.FrozenHalf, "results", counting)
    return seen


def prepared(make_body, side=64, stage="last"):
    """A network, some of whose weights are frozen, and pixels."""
    torch.manual_seed(0)
    network = nn.ModuleDict({"body": make_body(cnn(side=side)), "heads": nn.Identity()})
    set_stage(network, stage)
    return network["body"], torch.rand(3, 3, side, side) * 255


@pytest.mark.parametrize(
    ("make_body", "stage"),
    [
        (body_with_block, "heads"),
        (body_with_block, "last"),
        (levi_hassner, "last"),
        (residual_attention, "last"),
        (wide_gabor, "last"),
    ],
)
def test_both_halves_together_are_the_network(make_body, stage):
    body, pixels = prepared(make_body, stage=stage)
    lower, upper = split(body, 64)
    with torch.no_grad():
        assert torch.equal(upper(*lower(pixels)), body(pixels))


def test_a_weight_of_the_upper_half_learns_as_in_the_network():
    body, pixels = prepared(body_with_block)
    lower, upper = split(body, 64)
    learning = [weight for weight in body.parameters() if weight.requires_grad]
    assert 0 < len(learning) < len(list(body.parameters()))
    body(pixels).sum().backward()
    wanted = [weight.grad.clone() for weight in learning]
    body.zero_grad()
    upper(*(one.detach() for one in lower(pixels))).sum().backward()
    for weight, slope in zip(learning, wanted, strict=True):
        assert torch.equal(weight.grad, slope)


def test_what_is_kept_is_the_narrow_map_before_a_block_that_lies_in_both_halves():
    body, pixels = prepared(body_with_block)
    body.requires_grad_(False)
    body[2].narrow.requires_grad_(True)
    lower, _ = split(body, 64)
    assert [one.shape[1] for one in lower(pixels)] == [4]


def test_a_network_without_a_frozen_weight_is_not_split():
    assert split(prepared(body_with_block, stage="all")[0], 64) is None


def test_kept_results_train_as_computed_ones(always, monkeypatch):
    X, y = people()
    kept = cnn().fit(X, y)
    monkeypatch.setattr(frozen, "MOST_KEPT", 0)
    again = cnn().fit(X, y)
    assert same(weights(kept), weights(again))
    monkeypatch.setattr(trainer, "WORTHWHILE", 10**9)
    by_torch = cnn().fit(X, y)
    assert not same(weights(kept), weights(by_torch))  # so that three trainings are compared, not one
    for name, tensor in weights(kept).items():
        assert tensor == pytest.approx(weights(by_torch)[name], abs=1e-3), name


def test_each_view_of_a_face_is_computed_once(computed):
    X, y = people()
    fitted = cnn().fit(X, y)
    n_faces, n_held_out = (fitted.training_[name] for name in ("faces", "held_out_faces"))
    # Opening takes two: one for the shapes, and one that is compared with torch.
    assert len([change for change in computed if change == NOTHING]) == n_held_out + 2
    assert len(computed) == 2 * n_faces + n_held_out + 2
    assert len(set(computed)) == 2 * n_faces + 1


def test_no_view_returns_if_none_is_asked_to(computed):
    X, y = people()
    fitted = cnn(frozen_views=0).fit(X, y)
    assert len(set(computed)) == 5 * fitted.training_["faces"] + 1


def test_memory_is_bounded_and_what_does_not_fit_is_computed_again(computed, monkeypatch):
    X, y = people()
    kept = []
    views = frozen.Views.__init__

    def recording(self, half, faces, change, n_kept):
        kept.append(n_kept * len(faces) * half.bytes_of_a_face)
        views(self, half, faces, change, n_kept)

    monkeypatch.setattr(frozen.Views, "__init__", recording)
    most = 30 * 4 * 6 * 6 * 4  # one view of all faces, but not two
    monkeypatch.setattr(frozen, "MOST_KEPT", most)
    fitted = cnn().fit(X, y)
    assert 0 < sum(kept) <= most
    n_faces = fitted.training_["faces"]
    # The first view is kept for three epochs; the second is computed in each of two.
    assert len(computed) == 3 * n_faces + fitted.training_["held_out_faces"] + 2


class Killed(BaseException):
    """What a watcher raises where somebody presses Ctrl-C."""


@pytest.mark.parametrize("epoch", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_killed_training_ends_with_the_bits_of_one_that_was_not(always, tmp_path, epoch):
    X, y = people()
    whole = cnn(epochs=6).fit(X, y)

    def watch(text, share):
        if text.startswith(f"epoch {epoch} of"):
            raise Killed

    with pytest.raises(Killed):
        cnn(epochs=6).use(Resources(checkpoints=tmp_path, progress=watch)).fit(X, y)
    resumed = cnn(epochs=6).use(Resources(checkpoints=tmp_path)).fit(X, y)
    assert same(weights(resumed), weights(whole))


def test_a_run_says_which_engine_computed_the_frozen_half(always):
    X, y = people()
    assert "(frozen half: openvino" in cnn().fit(X, y).training_["engine"]
    assert "openvino" not in cnn(head_epochs=0, last_epochs=0).fit(X, y).training_["engine"]


def cannot(network, **given):
    raise ValueError("no such operation\nand more")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TOLERANCE", {"fp32": -1.0}, "OpenVINO computes other features from it than torch."),
        ("open_session", cannot, "OpenVINO cannot run it: ValueError: no such operation."),
    ],
)
def test_a_frozen_half_that_the_engine_cannot_compute_is_computed_by_torch_which_is_noted(
    always, monkeypatch, name, value, said
):
    X, y = people()
    monkeypatch.setattr(frozen, name, value)
    fitted = cnn().fit(X, y)
    assert "openvino" not in fitted.training_["engine"]
    assert fitted.summary_["notes"] == [
        f"torch computed the frozen half of the network in every epoch. {said}"
    ]


def test_an_epoch_trains_its_view():
    def schedule(**parameters):
        made = cnn(**parameters)
        return Schedule(**{one.name: getattr(made, one.name) for one in fields(Schedule)})

    def views(**parameters):
        plan = schedule(**parameters)
        return [plan.view(epoch) for epoch in range(plan.epochs)]

    assert views(epochs=7) == [0, 1, 0, 1, 0, None, None]
    assert views(epochs=3, frozen_views=0) == [0, 1, 2]
    assert views(epochs=2, frozen_views=9) == [0, 1]
    assert views(epochs=2, mixup=0.4) == views(epochs=2, head_epochs=0, last_epochs=0) == [None, None]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"head_epochs": 0, "last_epochs": 0}, "every epoch trains the whole network"),
        ({"mixup": 0.3}, "mixup makes new images"),
    ],
)
def test_a_number_of_views_without_effect_is_noted(facts, said):
    X, y = people()
    [note] = cnn(epochs=1, **facts).fit(X, y).summary_["notes"]
    assert note.startswith("frozen_views=2 has no effect")
    assert said in note
    default = {"frozen_views": FROZEN_VIEWS}
    assert not cnn(epochs=1, **(facts | default)).fit(X, y).summary_["notes"]


def test_frozen_weights_and_the_statistics_stay_as_they_were(always):
    X, y = people()
    fitted = cnn()
    fitted.fit(X, y)
    before = deepcopy(fitted._fresh_network().state_dict())
    after = fitted.network_.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert {name for name in changed if name.startswith("body.")} <= {
        f"body.{name}" for name in ("2.wide.weight", "2.wide.bias", "2.narrow.weight", "2.narrow.bias")
    }
    assert any(name.startswith("body.2") for name in changed)


def test_in_bf16_results_are_kept_in_half_the_memory(always, monkeypatch):
    """The engine runs in fp32 here, because not every processor can run it in bf16."""
    X, y = people()
    opened = []
    opening = frozen.open_session

    def in_fp32(network, **given):
        return opening(network, **(given | {"precision": "fp32"}))

    def recording(self, *given):
        views(self, *given)
        opened.append(self)

    views = frozen.Views.__init__
    monkeypatch.setattr(frozen, "open_session", in_fp32)
    monkeypatch.setattr(frozen.Views, "__init__", recording)
    fitted = cnn(precision="bf16").fit(X, y)
    assert [one.dtype for view in opened for one in view._kept] == [torch.bfloat16] * 2
    assert np.isfinite(fitted.predict_proba(X)).all()
