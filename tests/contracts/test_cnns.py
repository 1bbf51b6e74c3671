"""What every network that reads the faces themselves promises, tried on each member of the registry.

The faces are squares of noise that are lit from above or from below, of too few
persons to hold any out: a held-out face or two would choose an epoch by chance.
Networks that start from pretrained ones start from the smallest.
"""

import json
import pickle
from functools import cache

import numpy as np
import pytest
from sklearn.base import clone  # noqa: TID253  # what is promised is scikit-learn's
from sklearn.exceptions import NotFittedError  # noqa: TID253

from featurekit.data.targets import AGE, AGE_GROUP, GENDER, Target
from featurekit.estimators import CLASSIFIERS, fresh

TARGETS = {target.name: target for target in (GENDER, AGE_GROUP, AGE)}
# What the two kinds of faces are called in each target.
KINDS = {"gender": (0, 1), "age_group": (1, 6), "age": (5.0, 50.0)}
SIDE = 56
SHORT = {
    "device": "cpu",
    "precision": "fp32",
    "epochs": 3,
    "head_epochs": 0,
    "last_epochs": 0,
    "batch_size": 8,
    "views": 1,
}

NETWORKS = [kind for kind in CLASSIFIERS if kind.reads == "crops"]
MARKS = {kind.name: [pytest.mark.weights] if kind.starts_from else [] for kind in NETWORKS}
NAMES = [pytest.param(name, marks=marks) for name, marks in MARKS.items()]
every_network = pytest.mark.parametrize("name", NAMES)
every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Faces as few and small as these are read sooner by one thread, above all on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def faces(target: Target, n: int = 32, seed: int = 0):
    """Made-up faces, uint8 (n, SIDE, SIDE, 3), their labels and four faces a person; read-only."""
    rng = np.random.default_rng(seed)
    kinds = np.repeat(np.arange(n // 4) % 2, 4)
    X = rng.integers(0, 120, (n, SIDE, SIDE, 3))
    half = SIDE // 2
    for face, kind in zip(X, kinds, strict=True):
        face[kind * half : (kind + 1) * half] += 110
    y = np.array(KINDS[target.name])[kinds]
    people = np.repeat([f"s{i}" for i in range(n // 4)], 4)
    X = X.astype(np.uint8)
    for array in (X, y, people):
        array.flags.writeable = False
    return X, y, people


def unfitted(name: str, target: Target, *, seed: int = 0, **parameters):
    kind = CLASSIFIERS[name]
    side = 64 if kind.starts_from else 48  # the layers of dlib's network do not fit at every side
    return fresh(
        kind,
        target,
        networks=("dlib_age",),
        parameters=SHORT | {"side": side} | parameters,
        seed=seed,
    )


@cache
def fitted(name: str, target: Target):
    """One network for all tests that only ask it."""
    X, y, people = faces(target)
    return unfitted(name, target).fit(X, y, groups=people)


def answers(network, X):
    return network.predict(X) if network.target.is_regression else network.predict_proba(X)


@every_network
@every_target
def test_it_answers_for_every_face(name, target):
    (X, y, _), network = faces(target), fitted(name, target)
    predicted = network.predict(X)
    assert predicted.shape == y.shape
    assert np.isfinite(predicted).all()
    if target.is_regression:
        assert predicted.dtype == np.float64
        assert (predicted >= 0).all()
        assert not hasattr(network, "classes_")
    else:
        assert set(predicted) <= set(network.classes_.tolist())


@every_network
@pytest.mark.parametrize("target", [GENDER, AGE_GROUP], ids=lambda target: target.name)
def test_probabilities_add_up_to_one_and_the_likeliest_is_predicted(name, target):
    network = fitted(name, target)
    X, _, _ = faces(target, seed=1)
    proba = network.predict_proba(X)
    assert proba.shape == (len(X), 2)
    assert proba.sum(axis=1) == pytest.approx(1)
    assert (proba >= 0).all()
    assert (network.classes_[proba.argmax(axis=1)] == network.predict(X)).all()


@every_network
@every_target
def test_it_learns_what_the_faces_show(name, target):
    network = fitted(name, target)
    X, y, _ = faces(target, seed=1)
    said = network.predict(X)
    if target.is_regression:
        assert np.abs(said - y).mean() < 0.8 * np.abs(y - np.median(y)).mean()
        assert said[y > 20].mean() > said[y < 20].mean() + 5
    else:
        assert (said == y).mean() > 0.8


@every_network
def test_the_same_seed_gives_the_same_bits_and_another_gives_others(name):
    X, y, people = faces(GENDER, n=16)
    once, again, other = (
        answers(unfitted(name, GENDER, seed=seed, epochs=1).fit(X, y, groups=people), X) for seed in (0, 0, 1)
    )
    assert (again == once).all()
    assert (other != once).any()


@every_network
def test_a_class_that_training_lacks_is_not_among_its_classes(name):
    X, _, _ = faces(AGE_GROUP)
    network = fitted(name, AGE_GROUP)
    assert network.classes_.tolist() == [1, 6]
    assert network.predict_proba(X).shape == (len(X), 2)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        pytest.param(kind.name, target, marks=MARKS[kind.name], id=f"{kind.name}-{target.name}")
        for kind in NETWORKS
        for target in ([GENDER] if kind.starts_from else [GENDER, AGE])  # years with the small ones
    ],
)
def test_faces_without_a_label_are_not_learned_from(name, target):
    """They are no class and no year of their own."""
    X, y, people = faces(target)
    missing = np.arange(len(X)) % 4 == 3
    labels = np.where(missing, np.nan if target.is_regression else -1, y)
    network = unfitted(name, target, epochs=2).fit(X, labels, groups=people)
    others, true, _ = faces(target, seed=1)
    said = network.predict(others)
    if target.is_regression:
        assert np.isfinite(said).all()
        assert said[true > 20].mean() > said[true < 20].mean()
    else:
        assert network.classes_.tolist() == [0, 1]
        assert (said == true).mean() > 0.7


@every_network
def test_what_else_is_known_of_a_face_is_learned_too(name):
    """Half of the faces have only the other label, and what it says changes the network."""
    X, y, people = faces(GENDER, n=16)
    _, years, _ = faces(AGE, n=16)
    has_gender = np.arange(len(X)) % 4 < 2
    labels = np.where(has_gender, y, -1)
    networks = []
    for known in (years, np.where(has_gender, years, years[::-1])):
        network = unfitted(name, GENDER, epochs=1)
        networks.append(network.fit(X, labels, groups=people, also={AGE: known}))
    said = [answers(network, X) for network in networks]
    assert (said[0] != said[1]).any()
    assert {head.target for head in networks[0].heads_} == {GENDER, AGE}


@every_network
@every_target
def test_it_can_be_saved_as_plain_tensors(name, target):
    from safetensors.numpy import load, save

    (X, _, _), network = faces(target), fitted(name, target)
    facts, tensors = network.to_tensors()
    other = CLASSIFIERS[name].make(target, 5, 1)
    loaded = other.from_tensors(json.loads(json.dumps(facts)), load(save(tensors)))
    assert (answers(loaded, X) == answers(network, X)).all()
    if not target.is_regression:
        assert (loaded.classes_ == network.classes_).all()


@every_network
def test_faces_may_come_as_pictures_or_as_rows(name):
    X, _, _ = faces(GENDER)
    network = fitted(name, GENDER)
    assert (answers(network, X.reshape(len(X), -1)) == answers(network, X)).all()


@every_network
def test_faces_that_are_no_bytes_are_refused(name):
    X, y, people = faces(GENDER)
    with pytest.raises(ValueError, match="of type uint8, not float32"):
        fitted(name, GENDER).predict(X.astype(np.float32))
    with pytest.raises(ValueError, match="of type uint8, not float32"):
        unfitted(name, GENDER).fit(X.astype(np.float32), y, groups=people)


@every_network
@every_target
def test_one_face_gets_the_answer_it_gets_among_others(name, target):
    (X, _, _), network = faces(target), fitted(name, target)
    together = answers(network, X)
    alone = np.concatenate([answers(network, X[i : i + 1]) for i in range(3)])
    assert alone == pytest.approx(together[:3], rel=1e-3, abs=1e-4)
    assert answers(network, X[::-1]) == pytest.approx(together[::-1], rel=1e-3, abs=1e-4)


@every_network
def test_its_summary_and_parameters_are_plain(name):
    network = fitted(name, GENDER)
    assert json.loads(json.dumps(network.summary_)) == network.summary_
    assert all(isinstance(note, str) for note in network.summary_["notes"])
    assert json.dumps(network.shown_parameters(), allow_nan=False)
    assert json.loads(json.dumps(network.training_, allow_nan=False)) == network.training_


@every_network
def test_a_target_of_the_users_own_is_read_too(name):
    X, y, people = faces(GENDER, n=16)
    mood = Target("mood", ("cross", "glad", "sad"))
    network = unfitted(name, mood, epochs=1).fit(X, y * 2, groups=people)
    assert network.classes_.tolist() == [0, 2]
    assert network.predict_proba(X).shape == (len(X), 2)


@every_network
def test_a_clone_learns_the_same_and_a_pickle_says_the_same(name):
    X, y, people = faces(GENDER, n=16)
    network = unfitted(name, GENDER, epochs=1).fit(X, y, groups=people)
    again = clone(network)
    with pytest.raises(NotFittedError):
        again.predict(X)
    loaded = pickle.loads(pickle.dumps(network))
    for other in (again.fit(X, y, groups=people), loaded):
        assert other.get_params() == network.get_params()
        assert (answers(other, X) == answers(network, X)).all()


@pytest.mark.parametrize(
    ("older", "name", "parameters"),
    [
        ("ordered_cnn", "finetuned_cnn", {"ages": "ordered"}),
        ("gender_to_age_cnn", "multitask_cnn", {"gender_to_age": True}),
    ],
)
def test_names_that_are_parameters_now_are_still_understood(older, name, parameters):
    assert older not in CLASSIFIERS.names()
    kind, base = CLASSIFIERS[older], CLASSIFIERS[name]
    assert (kind.name, kind.also, kind.starts_from) == (older, base.also, base.starts_from)
    set_by_hand = base.make(AGE_GROUP, 3, 1).set_params(**parameters)
    assert kind.make(AGE_GROUP, 3, 1).get_params() == set_by_hand.get_params()
