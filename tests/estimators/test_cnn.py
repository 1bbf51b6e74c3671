"""Training end to end: nobody who is learned from decides when to stop, and a killed training goes on."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from math import inf

import numpy as np
import pytest
import torch  # noqa: TID253  # the whole file is about its networks
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn  # noqa: TID253
from torchvision.transforms import InterpolationMode  # noqa: TID253
from torchvision.transforms.v2.functional import rotate  # noqa: TID253

from featurekit.data.targets import AGE, AGE_GROUP, GENDER, Target
from featurekit.errors import EngineError, ModelError
from featurekit.estimators import Crops, _cnn, _training
from featurekit.estimators._augmentation import NOTHING, Augmentation, _part, changed, changed_together
from featurekit.estimators._cnn import CNN, VIEWS, as_crops
from featurekit.estimators._heads import OLDEST, Head, class_weights, head_for, heads_module
from featurekit.estimators._training import PARTS, Faces, Schedule, parts_of
from featurekit.estimators.levi_hassner import levi_hassner
from featurekit.estimators.residual_attention import residual_attention
from featurekit.estimators.wide_gabor import KERNEL, ORIENTATIONS, WAVELENGTHS, gabor_kernels, wide_gabor

SIDE = 16


class Killed(BaseException):
    """What a watcher raises where somebody presses Ctrl-C."""


def small_body(cnn):
    """Two convolutions with batch normalization, dropout between them, and a mean."""
    body = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Conv2d(8, 12, 3),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    body.dim = 12
    return body


def plain_body(cnn):
    """A convolution and a mean: without batch normalization or dropout each face stands for itself."""
    body = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    body.dim = 32
    return body


def people(n: int = 48, seed: int = 0):
    """Faces that are bright above or below, their gender, and three faces a person."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n // 3) % 2, 3)
    faces = rng.integers(0, 120, (n, SIDE, SIDE, 3))
    half = SIDE // 2
    for face, kind in zip(faces, y, strict=True):
        face[kind * half : (kind + 1) * half] += 120
    return faces.astype(np.uint8), y, np.repeat([f"s{i}" for i in range(n // 3)], 3)


def small(target: Target = GENDER, **parameters) -> CNN:
    """A network that is trained in a moment, on as many threads as any machine has."""
    made = {
        "make_body": small_body,
        "side": SIDE,
        "device": "cpu",
        "precision": "fp32",
        "epochs": 5,
        "batch_size": 8,
        "head_epochs": 1,
        "last_epochs": 1,
        "learning_rate": 1e-2,
    }
    return CNN(target=target, **(made | parameters))


def fit(cnn: CNN, **told) -> CNN:
    X, y, groups = people()
    for name, value in told.items():
        setattr(cnn, name, value)
    return cnn.fit(X, y, groups=groups)


def weights(cnn: CNN) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in cnn.network_.state_dict().items()}


def same(ours, theirs) -> bool:
    return ours.keys() == theirs.keys() and all((ours[name] == theirs[name]).all() for name in ours)


def schedule(**parameters) -> Schedule:
    cnn = small(**parameters)
    return Schedule(**{one.name: getattr(cnn, one.name) for one in fields(Schedule)})


# --- a rate that is too high


def test_a_loss_that_is_no_number_any_more_ends_the_training_and_says_what_to_try(tmp_path):
    with pytest.raises(ModelError, match=r"in epoch \d: .* Try a third: --set learning_rate=3e\+17"):
        fit(small(make_body=plain_body, learning_rate=1e18), checkpoints=tmp_path)


def test_a_network_that_only_became_worse_by_learning_says_so():
    noted = fit(small(make_body=plain_body, decay=20.0, last_epochs=0)).summary_["notes"]
    assert any("only the heads learned, was never bettered" in note for note in noted)
    assert not fit(small()).summary_["notes"]


# --- chance


def test_trainings_side_by_side_end_with_the_weights_of_one_alone():
    alone = weights(fit(small(threads=1)))
    with ThreadPoolExecutor(3) as pool:
        trained = list(pool.map(lambda seed: weights(fit(small(threads=1, seed=seed))), (0, 1, 0)))
    assert same(trained[0], alone)
    assert same(trained[2], alone)
    assert not same(trained[1], alone)


def test_dropout_leaves_out_its_share_while_it_learns_and_nothing_afterwards():
    [dropout] = _training.with_own_chance(nn.Sequential(nn.Dropout(0.25)))
    ones = torch.ones(100, 100)
    dropout.reseed(7)
    first, second = dropout(ones), dropout(ones)
    assert (first == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert first.mean().item() == pytest.approx(1.0, abs=0.03)
    assert (first != second).any()
    dropout.reseed(7)
    assert (dropout(ones) == first).all()
    assert (dropout.eval()(ones) == ones).all()


def test_faces_are_shared_by_folds_and_read_as_if_they_were_alone():
    X, y, groups = people()
    rows = np.arange(0, len(X), 2)
    shared = Crops(X, np.arange(len(X)))[rows]
    assert len(shared) == len(rows)
    assert shared.pixels is X
    ours = small(epochs=1).fit(shared, y[rows], groups=groups[rows])
    theirs = small(epochs=1).fit(X[rows], y[rows], groups=groups[rows])
    assert same(weights(ours), weights(theirs))
    assert (ours.predict_proba(shared) == theirs.predict_proba(X[rows])).all()


# --- who is learned from


@pytest.fixture
def dealt(monkeypatch):
    """The faces that trainings were given: to learn from, and to choose the epoch by."""
    given = []

    def train(network, heads, faces, held_out, *others, **named):
        given.append((faces, held_out))
        return _training.train(network, heads, faces, held_out, *others, **named)

    monkeypatch.setattr(_cnn, "train", train)
    return given


@pytest.mark.parametrize("seed", range(4))
def test_who_chooses_the_epoch_is_never_learned_from(dealt, seed):
    X, y, groups = people()
    cnn = small(epochs=1, seed=seed).fit(X, y, groups=groups)
    [(faces, held_out)] = dealt
    assert len(held_out)
    assert not set(groups[faces.rows]) & set(groups[held_out.rows])
    assert sorted([*faces.rows, *held_out.rows]) == list(range(len(X)))
    assert (cnn.training_["faces"], cnn.training_["held_out_faces"]) == (len(faces), len(held_out))


def test_labels_stay_with_their_faces(dealt):
    X, y, groups = people()
    years = np.where(y == 1, 60.0, 5.0)
    years[::5] = np.nan
    cnn = small(epochs=1)
    cnn.also = {AGE: years}
    cnn.fit(X, y, groups=groups)
    for part in dealt[0]:
        assert (part.labels["gender"] == y[part.rows]).all()
        assert np.array_equal(part.labels["age"], years[part.rows].astype(np.float32), equal_nan=True)


def test_only_the_faces_to_learn_from_are_learned_from(monkeypatch, dealt):
    learned = []

    def learn(network, heads, pixels, *others):
        learned.extend(pixels.numpy().transpose(0, 2, 3, 1))
        return _LEARN(network, heads, pixels, *others)

    monkeypatch.setattr(_training, "_learn", learn)
    X, y, groups = people()
    small(epochs=2, augment=False).fit(X, y, groups=groups)
    [(faces, held_out)] = dealt
    as_bytes = {face.tobytes() for face in learned}
    assert as_bytes <= {face.tobytes() for face in X[faces.rows]}
    assert not as_bytes & {face.tobytes() for face in X[held_out.rows]}


_LEARN = _training._learn


def test_too_few_subjects_to_hold_any_out_are_all_learned_from(dealt):
    X, y, _ = people()
    groups = np.array([f"s{i % 4}" for i in range(len(X))])
    cnn = small(epochs=2).fit(X, y, groups=groups)
    assert (len(dealt[0][0]), dealt[0][1]) == (len(X), None)
    assert cnn.summary_["notes"][0].startswith("The last epoch was kept, not the best: There are 4 subjects")
    assert cnn.training_["best_epoch"] == 2


def test_the_epoch_that_reads_the_held_out_faces_best_is_kept(monkeypatch):
    losses = iter([3.0, 1.0, 2.0, 1.5, 1.2])
    states = []

    def measure(network, *others):
        states.append({name: tensor.numpy().copy() for name, tensor in network.state_dict().items()})
        return next(losses), {}

    monkeypatch.setattr(_training, "_measure", measure)
    cnn = fit(small())
    assert (cnn.training_["best_epoch"], cnn.training_["epochs"]) == (2, 5)
    assert same(weights(cnn), states[1])
    assert not same(weights(cnn), states[4])


def test_it_stops_when_patience_is_at_an_end_but_not_before_all_has_learned(monkeypatch):
    monkeypatch.setattr(_training, "_measure", lambda *given: (1.0, {}))
    assert fit(small(epochs=9, patience=4, head_epochs=0, last_epochs=0)).training_["epochs"] == 5
    assert fit(small(epochs=9, patience=1, head_epochs=3, last_epochs=2)).training_["epochs"] == 6


@pytest.fixture
def shown():
    """A body that keeps the pictures it is shown when it does not learn."""
    pictures = []

    class Watching(nn.Module):
        dim = 32

        def __init__(self):
            super().__init__()
            self.inner = plain_body(None)

        def forward(self, pixels):
            if not self.training:
                pictures.extend(pixels.byte().numpy().transpose(0, 2, 3, 1))
            return self.inner(pixels)

    return pictures, lambda cnn: Watching()


def test_faces_are_measured_and_read_as_they_are(shown, dealt):
    pictures, make_body = shown
    X, y, groups = people()
    cnn = small(make_body=make_body, head_epochs=0, last_epochs=0, epochs=2, views=1)
    cnn.fit(X, y, groups=groups)
    held_out = X[dealt[0][1].rows]
    assert (np.array(pictures) == np.concatenate([held_out, held_out])).all()
    pictures.clear()
    cnn.predict(X)
    assert (np.array(pictures) == X).all()


def test_no_change_is_drawn_where_a_face_is_measured_or_read(monkeypatch):
    is_measuring, drawn = [False], []
    draw, measure = Augmentation.draw, _training._measure

    def recording_draw(self, rng):
        drawn.append(is_measuring[0])
        return draw(self, rng)

    def recording_measure(*given):
        is_measuring[0] = True
        try:
            return measure(*given)
        finally:
            is_measuring[0] = False

    monkeypatch.setattr(Augmentation, "draw", recording_draw)
    monkeypatch.setattr(_training, "_measure", recording_measure)
    cnn = fit(small(epochs=2))
    assert len(drawn) == 2 * cnn.training_["faces"]
    assert not any(drawn)
    drawn.clear()
    cnn.predict(people()[0])
    assert drawn == []


@pytest.mark.parametrize("n_views", VIEWS)
def test_an_answer_is_the_mean_over_the_views(n_views):
    X, _, _ = people()
    cnn = fit(small(epochs=1))
    heads = cnn.heads_[0]
    each = []
    for view in VIEWS[n_views]:
        pixels = torch.stack([changed(face, view, SIDE) for face in X]).float()
        with torch.inference_mode():
            each.append(heads.answer(cnn.network_(pixels)["gender"]).numpy())
    assert len(each) == n_views
    assert cnn.set_params(views=n_views).predict_proba(X) == pytest.approx(np.mean(each, axis=0), abs=1e-5)


# --- killed, and gone on


KILLED = {
    "mixed": {"mixup": 0.4},
    "balanced": {"balance": "sampler", "epochs": 4},
    "years": {"target": AGE, "epochs": 4},
    "without_stages": {"head_epochs": 0, "last_epochs": 0, "epochs": 4},
}


@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
@pytest.mark.parametrize("how", KILLED)
def test_a_killed_training_ends_with_the_bits_of_one_that_was_not(tmp_path, how, epoch):
    whole = fit(small(**KILLED[how]))

    def watch(text, share):
        if text.startswith(f"epoch {epoch} of"):
            raise Killed

    with pytest.raises(Killed):
        fit(small(**KILLED[how]), checkpoints=tmp_path, watch=watch)
    assert len(list(tmp_path.iterdir())) == 1
    told = []
    resumed = fit(small(**KILLED[how]), checkpoints=tmp_path, watch=lambda text, share: told.append(text))
    assert same(weights(resumed), weights(whole))
    assert [text.split(",")[0] for text in told] == [
        f"epoch {number} of {whole.epochs}" for number in range(epoch + 1, whole.training_["epochs"] + 1)
    ]
    assert lines(resumed) == lines(whole)
    assert resumed.training_["best_epoch"] == whole.training_["best_epoch"]


def lines(cnn):
    return [
        {name: value for name, value in line.items() if name != "rate"} for line in cnn.training_["history"]
    ]


def test_a_training_that_is_killed_within_an_epoch_begins_that_epoch_again(tmp_path, monkeypatch):
    whole = fit(small())
    monkeypatch.setattr(_training, "TELL_EVERY", -1.0)

    def watch(text, share):
        if 2.4 / 5 < share < 2.9 / 5:
            raise Killed

    with pytest.raises(Killed):
        fit(small(), checkpoints=tmp_path, watch=watch)
    shares = []
    resumed = fit(small(), checkpoints=tmp_path, watch=lambda text, share: shares.append(share))
    assert 2 / 5 < shares[0] < 2.4 / 5
    assert same(weights(resumed), weights(whole))


def refuse_to_learn(*given):
    pytest.fail("a finished training was trained again")


def test_a_finished_training_is_not_trained_again(tmp_path, monkeypatch):
    first = fit(small(), checkpoints=tmp_path)
    monkeypatch.setattr(_training, "_learn", refuse_to_learn)
    again = fit(small(), checkpoints=tmp_path)
    assert same(weights(again), weights(first))
    assert again.training_ == first.training_
    assert (again.predict_proba(people()[0]) == first.predict_proba(people()[0])).all()


@pytest.mark.parametrize("change", ["seed", "epochs", "learning_rate", "label", "face", "body"])
def test_another_training_has_another_checkpoint(tmp_path, change):
    X, y, groups = people()
    small(epochs=1, checkpoints=tmp_path).fit(X, y, groups=groups)
    changes = {"seed": {"seed": 1}, "epochs": {"epochs": 2}, "learning_rate": {"learning_rate": 1e-4}}
    if change == "label":
        y[0] = -1
    elif change == "face":
        X[0, 0, 0, 0] += 1
    elif change == "body":
        changes["body"] = {"make_body": wide_gabor}
    small(**({"epochs": 1} | changes.get(change, {})), checkpoints=tmp_path).fit(X, y, groups=groups)
    assert len(list(tmp_path.iterdir())) == 2


def cut_off(path):
    path.write_bytes(path.read_bytes()[:1000])


def empty(path):
    path.write_bytes(b"")


def without_progress(path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, path)


def of_another_network(path):
    fit(small(make_body=plain_body), checkpoints=path.parent / "other")
    [other] = (path.parent / "other").iterdir()
    other.replace(path)


@pytest.mark.parametrize("damage", [cut_off, empty, without_progress, of_another_network])
def test_a_checkpoint_that_cannot_be_read_is_put_aside_and_the_training_starts_anew(
    tmp_path, damage, monkeypatch
):
    monkeypatch.setattr(_training, "TELL_EVERY", float("inf"))  # a slow machine tells more
    whole = fit(small(), checkpoints=tmp_path)
    [path] = tmp_path.glob("*.safetensors")
    damage(path)
    told = []
    anew = fit(small(), checkpoints=tmp_path, watch=lambda text, share: told.append(text))
    assert same(weights(anew), weights(whole))
    assert told[0].startswith(f"starting anew: {path.name} ")
    assert told[0].endswith(f"it is now {path.stem}.damaged")
    assert sum(text.startswith("epoch") for text in told) == 5
    assert path.is_file()
    assert path.with_suffix(".damaged").is_file()


# --- what learns when, and how fast


def test_the_rate_rises_and_then_falls():
    plan = schedule(warm_up=0.2, learning_rate=1.0)
    rates = [_training._rate(plan, step, 100) for step in range(100)]
    assert rates[:20] == pytest.approx(np.arange(1, 21) / 20)
    assert (np.diff(rates[20:]) < 0).all()
    assert max(rates) == 1.0
    assert 0 < rates[-1] < 0.01


@pytest.mark.parametrize("n_steps", [1, 2, 3])
@pytest.mark.parametrize("warm_up", [0.0, 0.5, 1.0])
def test_few_steps_have_a_rate_too(n_steps, warm_up):
    plan = schedule(warm_up=warm_up, learning_rate=1.0)
    assert all(0 < _training._rate(plan, step, n_steps) <= 1 for step in range(n_steps))


def test_the_heads_learn_first_then_the_last_parts_then_all():
    plan = schedule(head_epochs=2, last_epochs=1, epochs=5)
    assert [plan.stage(epoch) for epoch in range(5)] == ["heads", "heads", "last", "all", "all"]
    assert schedule(head_epochs=0, last_epochs=0).stage(0) == "all"
    assert [line["stage"] for line in lines(fit(small(epochs=3)))] == ["heads", "last", "all"]


def two_bodies(cnn):
    body = nn.Module()
    body.bodies = nn.ModuleList([small_body(cnn), plain_body(cnn)])
    return body


@pytest.mark.parametrize(
    "make_body", [small_body, plain_body, two_bodies, levi_hassner, residual_attention, wide_gabor]
)
def test_every_weight_is_in_one_part_and_one_group(make_body):
    body = make_body(small(side=64))
    parts = parts_of(body)
    assert len(parts) == PARTS
    counted = sorted(id(weight) for part in parts for weight in part)
    assert counted == sorted(id(weight) for weight in body.parameters())
    network = nn.ModuleDict({"body": body, "heads": nn.Linear(3, 2)})
    groups = _training._optimizer(network, schedule(decay=0.5, weight_decay=0.1)).param_groups
    grouped = sorted(id(weight) for group in groups for weight in group["params"])
    assert grouped == sorted(id(weight) for weight in network.parameters())
    assert {group["factor"] for group in groups} <= {0.5**number for number in range(PARTS + 1)}
    for group in groups:
        assert {weight.squeeze().dim() > 1 for weight in group["params"]} == {group["weight_decay"] == 0.1}


def test_parts_nearer_to_the_pixels_learn_more_slowly():
    network = nn.ModuleDict({"body": small_body(None), "heads": nn.Linear(12, 2)})
    groups = _training._optimizer(network, schedule(decay=0.5)).param_groups
    factors = {id(weight): group["factor"] for group in groups for weight in group["params"]}
    along = [factors[id(weight)] for weight in network.body.parameters()]
    assert along == sorted(along)
    assert (along[0], along[-1]) == (0.5**PARTS, 0.5)
    assert {factors[id(weight)] for weight in network.heads.parameters()} == {1.0}


@pytest.mark.parametrize(("stage", "counts"), [("heads", (1, 0)), ("last", (0, 1)), ("all", (0, 0))])
def test_what_does_not_learn_in_a_stage_stays_as_it_was(stage, counts):
    head_epochs, last_epochs = counts
    cnn = fit(small(epochs=1, head_epochs=head_epochs, last_epochs=last_epochs))
    fresh = cnn._fresh_network()
    before = {name: tensor.numpy() for name, tensor in fresh.state_dict().items()}
    after = weights(cnn)
    changed_names = {name for name in after if (after[name] != before[name]).any()}
    body = [name for name, _ in fresh.body.named_parameters()]
    learning = {"heads": [], "last": body[len(body) // 2 :], "all": body}[stage]
    of_body = {name.removeprefix("body.") for name in changed_names if name.startswith("body.")}
    statistics = {name for name, _ in fresh.body.named_buffers()} if stage == "all" else set()
    assert of_body == set(learning) | statistics
    assert {name for name in changed_names if name.startswith("heads.")} == {
        "heads.of.gender.weight",
        "heads.of.gender.bias",
    }


def test_what_is_fitted_is_frozen_and_evaluates():
    network = fit(small(epochs=1)).network_
    assert not network.training
    assert not any(weight.requires_grad for weight in network.parameters())


def test_nobody_elses_random_numbers_or_threads_are_changed():
    torch.manual_seed(5)
    expected = torch.rand(3)
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    cnn = fit(small(epochs=1))
    cnn.predict(people()[0])
    assert (torch.rand(3) == expected).all()
    assert torch.get_num_threads() == threads


# --- rare classes, mixing, small memory


@pytest.mark.parametrize(
    "change",
    [{"balance": "loss"}, {"balance": "sampler"}, {"mixup": 0.4}, {"smoothing": 0.3}, {"augment": False}],
)
def test_each_way_of_training_gives_another_network(change):
    X, y, groups = people()
    y = np.where(np.arange(len(y)) % 4 == 0, 1 - y, y)  # the classes are of two sizes in no fold
    y[:9] = 1
    plain, other = (small(epochs=2, **facts).fit(X, y, groups=groups) for facts in ({}, change))
    assert not same(weights(plain), weights(other))
    assert np.isfinite(other.predict_proba(X)).all()


def made_faces(labels, name="gender") -> Faces:
    return Faces(
        crops=np.zeros((len(labels), 2, 2, 3), np.uint8), rows=np.arange(len(labels)), labels={name: labels}
    )


def test_the_sampler_draws_every_class_about_as_often():
    labels = np.array([0] * 900 + [1] * 100)
    order = _training._order(
        made_faces(labels), schedule(balance="sampler"), np.random.default_rng(0), balanced_by="gender"
    )
    assert len(order) == 1000
    assert 0.45 < labels[order].mean() < 0.55


def test_the_sampler_leaves_faces_without_a_label_their_share():
    labels = np.array([0] * 600 + [1] * 60 + [-1] * 340)
    order = _training._order(
        made_faces(labels), schedule(balance="sampler"), np.random.default_rng(0), balanced_by="gender"
    )
    shares = [(labels[order] == label).mean() for label in (0, 1, -1)]
    assert shares == pytest.approx([0.33, 0.33, 0.34], abs=0.05)


def test_the_sampler_draws_the_ages_of_every_decade_about_as_often():
    years = np.array([25.0] * 900 + [65.0] * 90 + [np.nan] * 10, np.float32)
    order = _training._order(
        made_faces(years, "age"), schedule(balance="sampler"), np.random.default_rng(0), balanced_by="age"
    )
    assert 0.4 < (years[order] == 65).mean() < 0.6


@pytest.mark.parametrize("balance", ["none", "loss"])
def test_without_the_sampler_every_face_comes_once(balance):
    labels = np.array([0] * 30 + [1] * 10)
    order = _training._order(
        made_faces(labels), schedule(balance=balance), np.random.default_rng(0), balanced_by="gender"
    )
    assert sorted(order) == list(range(40))


def test_no_batch_is_a_single_face():
    order = _training._order(
        made_faces(np.zeros(17, int)), schedule(), np.random.default_rng(0), balanced_by="gender"
    )
    assert len(order) == 16  # in batches of 8


def learned(network, heads, n=7, micro=8, mixed=None, **facts):
    X, y, _ = people()
    labels = {"gender": torch.tensor(y[:n]), "age": torch.tensor(y[:n] * 50.0 + 5)}
    labels = {head.target.name: labels[head.target.name] for head in heads}
    pixels = torch.tensor(X[:n]).permute(0, 3, 1, 2)
    network.zero_grad()
    loss, outputs = _training._learn(
        network, heads, pixels, labels, mixed, micro, {}, schedule(**facts), "cpu", "fp32"
    )
    return float(loss), outputs, [weight.grad.numpy().copy() for weight in network.parameters()]


def two_heads(make_body):
    cnn = small(make_body=make_body, dropout=0.0)
    cnn.heads_ = (head_for(AGE), head_for(GENDER))
    return cnn._fresh_network(), cnn.heads_


@pytest.mark.parametrize("mixed", [None, (0.3, np.array([3, 1, 0, 2, 6, 5, 4]))])
def test_a_batch_in_small_parts_is_learned_from_as_a_whole(mixed):
    network, heads = two_heads(plain_body)
    loss, outputs, slopes = learned(network, heads, mixed=mixed)
    for micro in (2, 3):
        own_loss, own_outputs, own_slopes = learned(network, heads, micro=micro, mixed=mixed)
        assert own_loss == pytest.approx(loss, rel=1e-4)
        for head in heads:
            assert own_outputs[head.target.name] == pytest.approx(outputs[head.target.name], abs=1e-4)
        for own, whole in zip(own_slopes, slopes, strict=True):
            assert own == pytest.approx(whole, rel=1e-3, abs=1e-3 * float(np.abs(whole).max()))


def test_a_mixed_batch_is_learned_from_in_its_shares():
    """Wholly the first face it is the batch itself; wholly the second, the batch of the partners."""
    network, heads = two_heads(plain_body)
    partners = np.arange(7)[::-1].copy()
    loss, _, slopes = learned(network, heads)
    for share in (1.0, 0.0):
        own_loss, _, own_slopes = learned(network, heads, mixed=(share, partners))
        assert own_loss == pytest.approx(loss, rel=1e-5)
        for own, whole in zip(own_slopes, slopes, strict=True):
            assert own == pytest.approx(whole, rel=1e-3, abs=1e-3 * float(np.abs(whole).max()))


def test_a_batch_that_does_not_fit_counts_once(monkeypatch):
    """What was added up before the memory ran out is thrown away."""
    asked = []

    def learn(network, heads, pixels, labels, mixed, micro, *others):
        asked.append(micro)
        if len(asked) == 1:
            _LEARN(network, heads, pixels, labels, mixed, micro, *others)
            raise torch.OutOfMemoryError("made up")
        # Later parts as large as before, so that only what was left over could differ.
        return _LEARN(network, heads, pixels, labels, mixed, 8, *others)

    facts = {"make_body": plain_body, "dropout": 0.0}
    whole = fit(small(**facts))
    monkeypatch.setattr(_training, "_learn", learn)
    assert same(weights(fit(small(**facts))), weights(whole))
    assert asked[:3] == [8, 4, 4]


def test_faces_that_would_fill_a_gpus_memory_stay_where_they_are(monkeypatch):
    faces = made_faces(np.zeros(9, int))
    n_bytes = faces.crops[0].nbytes * len(faces)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2 * n_bytes - 1, 10**9))
    assert faces.on_gpu() is faces


def test_a_network_that_fits_into_no_memory_is_refused(monkeypatch):
    def learn(*given):
        raise torch.OutOfMemoryError("made up")

    monkeypatch.setattr(_training, "_learn", learn)
    with pytest.raises(EngineError, match=r"does not fit into the memory of the GPU.*--device cpu"):
        fit(small())


# --- heads


GROUPS = Head(AGE_GROUP, "ordered")
YEARS = Head(AGE, "years")


def test_a_head_is_what_its_target_wants():
    assert head_for(AGE).kind == "years"
    assert head_for(AGE_GROUP).kind == "classes"
    assert head_for(AGE_GROUP, ages="ordered").kind == "ordered"
    assert head_for(GENDER, ages="ordered").kind == "classes"
    assert [head.n_outputs for head in (head_for(GENDER), GROUPS, YEARS)] == [2, 7, OLDEST + 1]


@pytest.mark.parametrize("head", [head_for(AGE_GROUP), GROUPS, YEARS])
def test_probabilities_add_up_to_one(head):
    outputs = torch.tensor(np.random.default_rng(0).normal(0, 5, (40, head.n_outputs)))
    shares = head.probabilities(outputs).numpy()
    assert shares.shape == (40, head.n_outputs + (head.kind == "ordered"))
    assert shares.sum(axis=1) == pytest.approx(1)
    assert (shares >= 0).all()


def test_ordered_classes_rise_and_fall_around_one_of_them():
    module = heads_module(4, [GROUPS], dropout=0.0, gender_to_age=False)
    features = torch.tensor(np.random.default_rng(0).normal(0, 3, (50, 4)), dtype=torch.float32)
    outputs = module(features)["age_group"]
    assert (outputs.diff(dim=1) < 0).all()  # thresholds begin in their order
    shares = GROUPS.probabilities(outputs).detach().numpy()
    for row in shares:
        top = row.argmax()
        inner = row[1:-1]  # the outermost classes have no end
        top = inner.argmax()
        assert (np.diff(inner[: top + 1]) >= -1e-6).all()
        assert (np.diff(inner[top:]) <= 1e-6).all()
    direction = outputs.detach().numpy().mean(axis=1)
    expected = (shares * np.arange(8)).sum(axis=1)
    assert (np.diff(expected[direction.argsort()]) >= -1e-5).all()


def test_ordered_probabilities_by_hand():
    three = Head(Target("size", ("s", "m", "l"), ordered=True), "ordered")
    logits = torch.tensor([[np.log(3.0), np.log(1 / 3)]])  # above s: 3/4, above m: 1/4
    assert three.probabilities(logits).numpy() == pytest.approx(np.array([[0.25, 0.5, 0.25]]))
    crossed = three.probabilities(torch.tensor([[-2.0, 2.0]])).numpy()
    assert crossed.sum() == pytest.approx(1)
    assert (crossed >= 0).all()


def test_years_are_the_expectation_over_years():
    outputs = torch.full((2, OLDEST + 1), -inf)
    outputs[0, 30] = 0.0
    outputs[1, [20, 40]] = 0.0
    assert YEARS.answer(outputs).tolist() == pytest.approx([30, 30])


@pytest.mark.parametrize("head", [head_for(GENDER), GROUPS, YEARS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_faces_without_a_label_add_nothing_to_the_loss(head, smoothing):
    outputs = torch.tensor(np.random.default_rng(0).normal(size=(6, head.n_outputs)), requires_grad=True)
    missing = np.nan if head.kind == "years" else -1
    labels = torch.tensor([1, missing, 0, missing, 1, 1] if head.kind == "years" else [1, -1, 0, -1, 1, 1])
    known = torch.tensor([0, 2, 4, 5])
    loss = head.loss(outputs, labels, smoothing=smoothing)
    alone = head.loss(outputs[known], labels[known], smoothing=smoothing)
    assert float(loss.detach()) == pytest.approx(float(alone.detach()))
    loss.backward()
    assert (outputs.grad[[1, 3]] == 0).all()
    assert (outputs.grad[known] != 0).any(dim=1).all()
    nothing = head.loss(outputs, torch.full_like(labels, missing))
    assert float(nothing.detach()) == 0
    nothing.backward()  # a batch without any label is learned from, and teaches nothing


@pytest.mark.parametrize("head", [head_for(GENDER), head_for(AGE_GROUP), GROUPS, YEARS])
def test_the_right_answer_has_the_least_loss(head):
    right = 1 if head.target == GENDER else 4 if head.kind != "years" else 31
    losses = []
    for said in range(head.n_outputs + (head.kind == "ordered")):
        steps = torch.arange(head.n_outputs, dtype=torch.float32)
        if head.kind == "ordered":
            outputs = torch.where(steps < said, 3.0, -3.0)
        elif head.kind == "years":
            outputs = -((steps - said) ** 2) / 8
        else:
            outputs = torch.where(steps == said, 3.0, -3.0)
        label = torch.tensor([float(right) if head.kind == "years" else right])
        losses.append(float(head.loss(outputs[None], label, smoothing=0.05)))
    assert int(np.argmin(losses)) == right
    if head.kind in ("ordered", "years"):  # and the further off, the more
        assert (np.diff(losses[: right + 1]) < 0).all()
        assert (np.diff(losses[right:]) > 0).all()


def test_nobody_is_older_than_the_oldest_class():
    outputs = torch.zeros(1, OLDEST + 1)
    assert np.isfinite(float(YEARS.loss(outputs, torch.tensor([116.0]))))


def test_class_weights_make_the_classes_alike_and_are_one_on_average():
    labels = np.array([0] * 6 + [1] * 3 + [3] + [-1] * 5)
    found = class_weights(labels, 5).numpy()
    known = labels[labels >= 0]
    assert found[known].mean() == pytest.approx(1)
    assert [found[known][known == one].sum() for one in (0, 1, 3)] == pytest.approx([10 / 3] * 3)
    assert (found[[2, 4]] == 0).all()


@pytest.mark.parametrize("kind", ["classes", "ordered"])
def test_class_weights_make_a_rare_class_weigh_as_much_as_a_frequent_one(kind):
    head = Head(AGE_GROUP, kind)
    outputs = torch.zeros(10, head.n_outputs, requires_grad=True)
    labels = torch.tensor([2] * 9 + [5])
    weighed = class_weights(labels.numpy(), 8)
    head.loss(outputs, labels, weights=weighed).backward()
    slopes = outputs.grad.abs().sum(dim=1)
    assert float(slopes[:9].sum()) == pytest.approx(float(slopes[9]), rel=1e-4)


def test_the_age_heads_see_what_the_gender_head_says():
    heads = [head_for(AGE), head_for(GENDER)]
    apart = heads_module(4, heads, dropout=0.0, gender_to_age=False)
    joined = heads_module(4, heads, dropout=0.0, gender_to_age=True)
    features = torch.ones(3, 4)
    assert apart.of["age"].in_features == 4
    assert joined.of["age"].in_features == 6
    for module, expected in ((apart, False), (joined, True)):
        module.zero_grad()
        module(features)["age"].sum().backward()
        slope = module.of["gender"].weight.grad
        assert (slope is not None and bool((slope != 0).any())) == expected


def test_without_a_gender_head_there_is_nothing_to_see():
    module = heads_module(4, [head_for(AGE)], dropout=0.0, gender_to_age=True)
    assert module(torch.ones(3, 4))["age"].shape == (3, OLDEST + 1)


@pytest.mark.parametrize("column", ["mood", "hair.color", "type", "keys", "training", "what they said"])
def test_a_column_may_be_called_anything(column):
    target = Target(column, ("a", "b"))
    X, y, groups = people()
    cnn = small(target, epochs=1).fit(X, y, groups=groups)
    assert cnn.predict_proba(X).shape == (len(X), 2)


# --- changed faces


OFF = {"flip": False, "rotation": 0.0, "zoom": 0.0, "jitter": 0.0, "erasing": 0.0}


def face(side: int = 24, seed: int = 0):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def as_picture(tensor):
    return tensor.permute(1, 2, 0).numpy()


def test_a_face_to_which_nothing_happens_keeps_its_pixels():
    assert (as_picture(changed(face(), NOTHING, 24)) == face()).all()


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
    assert any((as_picture(changed(face(), change, 24)) != face()).any() for change in drawn)


@pytest.mark.parametrize("off", OFF)
def test_switching_a_change_off_leaves_the_others_as_they_were(off):
    field = {"flip": "is_flipped", "rotation": "angle", "zoom": "box", "jitter": "light", "erasing": "erased"}
    rngs = [np.random.default_rng(0) for _ in range(2)]
    for _ in range(20):
        full = Augmentation().draw(rngs[0])
        less = Augmentation(**{off: OFF[off]}).draw(rngs[1])
        assert less == full._replace(**{field[off]: getattr(NOTHING, field[off])})
    assert rngs[0].random() == rngs[1].random()


@pytest.mark.parametrize("side", [24, 17, 40])
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
    alone = torch.stack([changed(crop, change, side) for crop, change in zip(crops, changes, strict=True)])
    off = (together - alone).abs()
    assert off.max() <= 4
    assert (off > 1).float().mean() < 0.03


@pytest.mark.parametrize("angle", [-45.0, -9.7, -0.1, 3.3, 10.0])
@pytest.mark.parametrize("side", [24, 25, 160])
def test_a_face_is_turned_as_torchvision_turns_it(angle, side):
    rng = np.random.default_rng(0)
    smooth = np.linspace(0, 255, side * side * 3).reshape(side, side, 3).astype(np.uint8)
    for crop in (smooth, rng.integers(0, 256, (side, side, 3), dtype=np.uint8)):
        turned = changed(crop, NOTHING._replace(angle=angle), side)
        theirs = rotate(torch.tensor(crop).permute(2, 0, 1), angle, InterpolationMode.BILINEAR)
        assert (turned.int() - theirs.int()).abs().max() <= 1


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
    assert found.shape == (3, side, side)
    assert found.dtype == torch.uint8


def test_changes_are_what_they_are_called():
    plain = np.zeros((8, 8, 3), np.uint8)
    plain[:, :4] = 200
    mirrored = as_picture(changed(plain, NOTHING._replace(is_flipped=True), 8))
    assert (mirrored == plain[:, ::-1]).all()
    part = as_picture(changed(plain, NOTHING._replace(box=(0.0, 0.5, 1.0, 0.5)), 8))
    assert (part == 0).all()
    darker = as_picture(changed(plain, NOTHING._replace(light=(0.5, 1.0, 1.0)), 8))
    assert (darker[:, :4] == 100).all()
    erased = as_picture(changed(plain, NOTHING._replace(erased=(0.5, 0.0, 0.5, 1.0)), 8))
    assert (erased[:4] == plain[:4]).all()
    assert (erased[4:] == 127).all()


# --- faces as they come


def test_a_face_may_come_as_one_row():
    X, _, _ = people()
    assert (as_crops(X.reshape(len(X), -1)) == X).all()
    assert as_crops(X) is X


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((2, 48), np.float32), "as uint8, not float32"),
        (np.zeros((2, 50), np.uint8), "50 numbers are no square crop"),
        (np.zeros((2, 4, 5, 3), np.uint8), r"shape \(4, 5, 3\) are no square crops"),
        (np.zeros((2, 4, 4), np.uint8), r"shape \(4, 4\) are no square crops"),
    ],
)
def test_what_is_no_square_crop_of_bytes_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        as_crops(X)


# --- the networks that start from nothing


def evaluated(make_body, side):
    return make_body(small(side=side)).eval()


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


def test_the_gabor_filters_stay_as_they_are_while_the_network_learns():
    cnn = fit(small(make_body=wide_gabor, epochs=1))
    assert (weights(cnn)["body.kernels"][:, 0] == gabor_kernels()).all()


def test_schedule_and_network_have_the_same_parameters():
    """Each field of Schedule and of Augmentation is a parameter that --set can change."""
    parameters = small().get_params()
    assert {one.name for one in fields(Schedule)} <= set(parameters)
    assert {one.name: one.default for one in fields(Augmentation)}.items() <= parameters.items()
