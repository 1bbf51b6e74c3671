"""Training end to end: nobody who is learned from decides when to stop, and a killed training goes on."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import numpy as np
import pytest
import torch  # noqa: TID253  # the whole file is about its networks
from torch import nn  # noqa: TID253

from featurekit.data.targets import AGE, GENDER, Target
from featurekit.errors import EngineError, ModelError
from featurekit.estimators import Crops, Resources
from featurekit.estimators._networks import trainer
from featurekit.estimators._networks.augmentation import VIEWS, Augmentation, changed
from featurekit.estimators._networks.estimator import CNN
from featurekit.estimators._networks.heads import head_for, with_own_dropout
from featurekit.estimators._networks.sampler import Faces, epoch_order
from featurekit.estimators._networks.schedule import PARTS, Schedule, make_optimizer, parts_of, rate_at
from featurekit.estimators.levi_hassner import levi_hassner
from featurekit.estimators.residual_attention import residual_attention
from featurekit.estimators.wide_gabor import gabor_kernels, wide_gabor

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
    return cnn.use(Resources(**told)).fit(X, y, groups=groups)


def weights(cnn: CNN) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in cnn.network_.state_dict().items()}


def same(ours, theirs) -> bool:
    return ours.keys() == theirs.keys() and all((ours[name] == theirs[name]).all() for name in ours)


def schedule(**parameters) -> Schedule:
    cnn = small(**parameters)
    return Schedule(**{one.name: getattr(cnn, one.name) for one in fields(Schedule)})


# --- a rate that is too high


def test_a_loss_that_is_no_number_any_more_ends_the_training_and_says_what_to_try(tmp_path):
    with pytest.raises(ModelError, match=r"in epoch \d: .* Try a third of it: --set learning_rate=3e\+08"):
        fit(small(make_body=plain_body, learning_rate=1e9), checkpoints=tmp_path)


def test_a_network_that_only_became_worse_by_learning_says_so():
    noted = fit(small(make_body=plain_body, decay=25.0, last_epochs=0)).summary_["notes"]
    assert any("only the heads were trained" in note for note in noted)
    assert not fit(small()).summary_["notes"]


# --- chance


def test_trainings_side_by_side_end_with_the_weights_of_one_alone():
    alone = weights(fit(small(n_jobs=1)))
    with ThreadPoolExecutor(3) as pool:
        trained = list(pool.map(lambda seed: weights(fit(small(n_jobs=1, random_state=seed))), (0, 1, 0)))
    assert same(trained[0], alone)
    assert same(trained[2], alone)
    assert not same(trained[1], alone)


def test_dropout_leaves_out_its_share_while_it_learns_and_nothing_afterwards():
    [dropout] = with_own_dropout(nn.Sequential(nn.Dropout(0.25)))
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
def used_faces(monkeypatch):
    """The faces that trainings were given: to learn from, and to choose the epoch by."""
    given, original = [], trainer.train

    def train(network, heads, faces, held_out, *others, **named):
        given.append((faces, held_out))
        return original(network, heads, faces, held_out, *others, **named)

    monkeypatch.setattr(trainer, "train", train)
    return given


@pytest.mark.parametrize("seed", range(4))
def test_who_chooses_the_epoch_is_never_learned_from(used_faces, seed):
    X, y, groups = people()
    cnn = small(epochs=1, random_state=seed).fit(X, y, groups=groups)
    [(faces, held_out)] = used_faces
    assert len(held_out)
    assert not set(groups[faces.rows]) & set(groups[held_out.rows])
    assert sorted([*faces.rows, *held_out.rows]) == list(range(len(X)))
    assert (cnn.training_["faces"], cnn.training_["held_out_faces"]) == (len(faces), len(held_out))


def test_labels_stay_with_their_faces(used_faces):
    X, y, groups = people()
    years = np.where(y == 1, 60.0, 5.0)
    years[::5] = np.nan
    small(epochs=1).fit(X, y, groups=groups, also={AGE: years})
    for part in used_faces[0]:
        assert (part.labels["gender"] == y[part.rows]).all()
        assert np.array_equal(part.labels["age"], years[part.rows].astype(np.float32), equal_nan=True)


def test_only_the_faces_to_learn_from_are_learned_from(monkeypatch, used_faces):
    learned = []

    def learn(network, heads, inputs, *others):
        learned.extend(inputs[0].numpy().transpose(0, 2, 3, 1))
        return _LEARN(network, heads, inputs, *others)

    monkeypatch.setattr(trainer, "_learn", learn)
    X, y, groups = people()
    small(epochs=2, augment=False).fit(X, y, groups=groups)
    [(faces, held_out)] = used_faces
    as_bytes = {face.tobytes() for face in learned}
    assert as_bytes <= {face.tobytes() for face in X[faces.rows]}
    assert not as_bytes & {face.tobytes() for face in X[held_out.rows]}


_LEARN = trainer._learn


def test_too_few_subjects_to_hold_any_out_are_all_learned_from(used_faces):
    X, y, _ = people()
    groups = np.array([f"s{i % 4}" for i in range(len(X))])
    cnn = small(epochs=2).fit(X, y, groups=groups)
    assert (len(used_faces[0][0]), used_faces[0][1]) == (len(X), None)
    assert cnn.summary_["notes"][0].startswith(
        "The last epoch was used instead of the best one: There are 4 subjects"
    )
    assert cnn.training_["best_epoch"] == 2


def test_the_epoch_that_reads_the_held_out_faces_best_is_kept(monkeypatch):
    losses = iter([3.0, 1.0, 2.0, 1.5, 1.2])
    states = []

    def measure(network, *others):
        states.append({name: tensor.numpy().copy() for name, tensor in network.state_dict().items()})
        return next(losses), {}

    monkeypatch.setattr(trainer, "measure", measure)
    cnn = fit(small())
    assert (cnn.training_["best_epoch"], cnn.training_["epochs"]) == (2, 5)
    assert same(weights(cnn), states[1])
    assert not same(weights(cnn), states[4])


def test_it_stops_when_patience_is_at_an_end_but_not_before_all_has_learned(monkeypatch):
    monkeypatch.setattr(trainer, "measure", lambda *given: (1.0, {}))
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


def test_faces_are_measured_and_read_as_they_are(shown, used_faces):
    pictures, make_body = shown
    X, y, groups = people()
    cnn = small(make_body=make_body, head_epochs=0, last_epochs=0, epochs=2, views=1)
    cnn.fit(X, y, groups=groups)
    held_out = X[used_faces[0][1].rows]
    assert (np.array(pictures) == np.concatenate([held_out, held_out])).all()
    pictures.clear()
    cnn.predict(X)
    assert (np.array(pictures) == X).all()


def test_no_change_is_drawn_where_a_face_is_measured_or_read(monkeypatch):
    is_measuring, drawn = [False], []
    draw, measure = Augmentation.draw, trainer.measure

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
    monkeypatch.setattr(trainer, "measure", recording_measure)
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
        pixels = torch.tensor(np.stack([changed(face, view, SIDE) for face in X])).permute(0, 3, 1, 2).float()
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


@pytest.mark.parametrize("epoch", [2, *(pytest.param(one, marks=pytest.mark.slow) for one in (1, 3, 4))])
@pytest.mark.parametrize("how", KILLED)
def test_a_killed_training_ends_with_the_bits_of_one_that_was_not(tmp_path, how, epoch):
    whole = fit(small(**KILLED[how]))

    def watch(text, share):
        if text.startswith(f"epoch {epoch} of"):
            raise Killed

    with pytest.raises(Killed):
        fit(small(**KILLED[how]), checkpoints=tmp_path, progress=watch)
    assert len(list(tmp_path.iterdir())) == 1
    told = []
    resumed = fit(small(**KILLED[how]), checkpoints=tmp_path, progress=lambda text, share: told.append(text))
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
    monkeypatch.setattr(trainer, "TELL_EVERY", -1.0)

    def watch(text, share):
        if 2.4 / 5 < share < 2.9 / 5:
            raise Killed

    with pytest.raises(Killed):
        fit(small(), checkpoints=tmp_path, progress=watch)
    shares = []
    resumed = fit(small(), checkpoints=tmp_path, progress=lambda text, share: shares.append(share))
    assert 2 / 5 < shares[0] < 2.4 / 5
    assert same(weights(resumed), weights(whole))


def refuse_to_learn(*given):
    pytest.fail("a finished training was trained again")


def test_a_finished_training_is_not_trained_again(tmp_path, monkeypatch):
    first = fit(small(), checkpoints=tmp_path)
    monkeypatch.setattr(trainer, "_learn", refuse_to_learn)
    again = fit(small(), checkpoints=tmp_path)
    assert same(weights(again), weights(first))
    assert again.training_ == first.training_
    assert (again.predict_proba(people()[0]) == first.predict_proba(people()[0])).all()


@pytest.mark.parametrize("change", ["seed", "epochs", "learning_rate", "label", "face", "body"])
def test_another_training_has_another_checkpoint(tmp_path, change):
    X, y, groups = people()
    small(epochs=1).use(Resources(checkpoints=tmp_path)).fit(X, y, groups=groups)
    changes = {"seed": {"random_state": 1}, "epochs": {"epochs": 2}, "learning_rate": {"learning_rate": 1e-4}}
    if change == "label":
        y[0] = -1
    elif change == "face":
        X[0, 0, 0, 0] += 1
    elif change == "body":
        changes["body"] = {"make_body": wide_gabor}
    other = small(**({"epochs": 1} | changes.get(change, {})))
    other.use(Resources(checkpoints=tmp_path)).fit(X, y, groups=groups)
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
    monkeypatch.setattr(trainer, "TELL_EVERY", float("inf"))  # a slow machine tells more
    whole = fit(small(), checkpoints=tmp_path)
    [path] = tmp_path.glob("*.safetensors")
    damage(path)
    told = []
    anew = fit(small(), checkpoints=tmp_path, progress=lambda text, share: told.append(text))
    assert same(weights(anew), weights(whole))
    assert told[0].startswith(f"starting from the beginning: {path.name} ")
    assert told[0].endswith(f"it was renamed to {path.stem}.damaged")
    assert sum(text.startswith("epoch") for text in told) == 5
    assert path.is_file()
    assert path.with_suffix(".damaged").is_file()


# --- what learns when, and how fast


def test_the_rate_rises_and_then_falls():
    plan = schedule(warm_up=0.2, learning_rate=1.0)
    rates = [rate_at(plan, step, 100) for step in range(100)]
    assert rates[:20] == pytest.approx(np.arange(1, 21) / 20)
    assert (np.diff(rates[20:]) < 0).all()
    assert max(rates) == 1.0
    assert 0 < rates[-1] < 0.01


@pytest.mark.parametrize("n_steps", [1, 2, 3])
@pytest.mark.parametrize("warm_up", [0.0, 0.5, 1.0])
def test_few_steps_have_a_rate_too(n_steps, warm_up):
    plan = schedule(warm_up=warm_up, learning_rate=1.0)
    assert all(0 < rate_at(plan, step, n_steps) <= 1 for step in range(n_steps))


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
    groups = make_optimizer(network, schedule(decay=0.5, weight_decay=0.1)).param_groups
    grouped = sorted(id(weight) for group in groups for weight in group["params"])
    assert grouped == sorted(id(weight) for weight in network.parameters())
    assert {group["factor"] for group in groups} <= {0.5**number for number in range(PARTS + 1)}
    for group in groups:
        assert {weight.squeeze().dim() > 1 for weight in group["params"]} == {group["weight_decay"] == 0.1}


def test_parts_nearer_to_the_pixels_learn_more_slowly():
    network = nn.ModuleDict({"body": small_body(None), "heads": nn.Linear(12, 2)})
    groups = make_optimizer(network, schedule(decay=0.5)).param_groups
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
    order = epoch_order(
        made_faces(labels), schedule(balance="sampler"), np.random.default_rng(0), balanced_by="gender"
    )
    assert len(order) == 1000
    assert 0.45 < labels[order].mean() < 0.55


def test_the_sampler_leaves_faces_without_a_label_their_share():
    labels = np.array([0] * 600 + [1] * 60 + [-1] * 340)
    order = epoch_order(
        made_faces(labels), schedule(balance="sampler"), np.random.default_rng(0), balanced_by="gender"
    )
    shares = [(labels[order] == label).mean() for label in (0, 1, -1)]
    assert shares == pytest.approx([0.33, 0.33, 0.34], abs=0.05)


def test_the_sampler_draws_the_ages_of_every_decade_about_as_often():
    years = np.array([25.0] * 900 + [65.0] * 90 + [np.nan] * 10, np.float32)
    order = epoch_order(
        made_faces(years, "age"), schedule(balance="sampler"), np.random.default_rng(0), balanced_by="age"
    )
    assert 0.4 < (years[order] == 65).mean() < 0.6


@pytest.mark.parametrize("balance", ["none", "loss"])
def test_without_the_sampler_every_face_comes_once(balance):
    labels = np.array([0] * 30 + [1] * 10)
    order = epoch_order(
        made_faces(labels), schedule(balance=balance), np.random.default_rng(0), balanced_by="gender"
    )
    assert sorted(order) == list(range(40))


def test_no_batch_is_a_single_face():
    order = epoch_order(
        made_faces(np.zeros(17, int)), schedule(), np.random.default_rng(0), balanced_by="gender"
    )
    assert len(order) == 16  # in batches of 8


def learned(network, heads, n=7, micro=8, mixed=None, **facts):
    X, y, _ = people()
    labels = {"gender": torch.tensor(y[:n]), "age": torch.tensor(y[:n] * 50.0 + 5)}
    labels = {head.target.name: labels[head.target.name] for head in heads}
    pixels = torch.tensor(X[:n]).permute(0, 3, 1, 2)
    network.zero_grad()
    loss, outputs = trainer._learn(
        network, heads, [pixels], labels, mixed, micro, {}, schedule(**facts), "cpu", "fp32"
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
    monkeypatch.setattr(trainer, "_learn", learn)
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

    monkeypatch.setattr(trainer, "_learn", learn)
    with pytest.raises(EngineError, match=r"does not fit into the memory of the GPU.*--device cpu"):
        fit(small())


@pytest.mark.parametrize("column", ["mood", "hair.color", "type", "keys", "training", "what they said"])
def test_a_column_may_be_called_anything(column):
    target = Target(column, ("a", "b"))
    X, y, groups = people()
    cnn = small(target, epochs=1).fit(X, y, groups=groups)
    assert cnn.predict_proba(X).shape == (len(X), 2)


def test_the_gabor_filters_stay_as_they_are_while_the_network_learns():
    cnn = fit(small(make_body=wide_gabor, epochs=1))
    assert (weights(cnn)["body.kernels"][:, 0] == gabor_kernels()).all()


def test_schedule_and_network_have_the_same_parameters():
    """Each field of Schedule and of Augmentation is a parameter that --set can change."""
    parameters = small().shown_parameters()
    assert {one.name for one in fields(Schedule)} <= set(parameters)
    assert {one.name: one.default for one in fields(Augmentation)}.items() <= parameters.items()
