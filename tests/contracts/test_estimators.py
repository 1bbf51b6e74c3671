"""What every classifier promises, tried on each member of the registry."""

import json
from dataclasses import replace
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest

from featurekit.data.targets import AGE, AGE_GROUP, GENDER, Target
from featurekit.estimators import CLASSIFIERS, candidates
from featurekit.evaluation.tuning import search

TARGETS = {target.name: target for target in (GENDER, AGE_GROUP, AGE)}
# Those that read crops have contracts of their own: test_cnns.py.
NAMES = [kind.name for kind in CLASSIFIERS if kind.reads == "embeddings"]
EVERY = [(name, target) for name in NAMES for target in TARGETS]
# What takes long to fit is fitted again for one target alone.
LONG = {"mlp": AGE.name, "random_forest": GENDER.name}
AGAIN = [(name, target) for name, target in EVERY if LONG.get(name, target) == target]
CLASSES = [(name, target) for name, target in EVERY if target != AGE.name]


@pytest.fixture(autouse=True)
def _needs_of_the_member(request):
    """A member whose module no extra has installed here is skipped."""
    name = request.node.callspec.params["name"]
    needs = CLASSIFIERS[name].needs
    if needs is not None and find_spec(needs) is None:
        pytest.skip(f"{name} needs {needs}, which is not installed here: pip install 'featurekit[{needs}]'")


@cache
def faces(name: str, target: Target, n: int = 96, seed: int = 0):
    """Made-up faces: vectors that tell the target, labels, and two faces a person.

    Read-only: a classifier that writes into what it is given fails.
    """
    rng = np.random.default_rng(seed)
    n_classes = len(target.classes) or 8
    codes = np.repeat(np.arange(n // 2) % n_classes, 2)
    y = codes * 9.0 + 2 + rng.integers(0, 3, n) if target.is_regression else codes
    people = np.repeat([f"s{i}" for i in range(n // 2)], 2)
    own = CLASSIFIERS[name].features
    if own is not None:
        dim = 2 if own(target) == "dlib_gender:probabilities" else 81
        X = rng.dirichlet(np.ones(dim), n)
        X[np.arange(n), codes if dim == 2 else codes * 9 + 1] += 1
        X /= X.sum(axis=1, keepdims=True)
    else:
        X = rng.normal(size=(n, 24))
        X[np.arange(n), codes] += 3
        X[:, -1] = 0.1  # a dead unit
    X = X.astype(np.float32)
    for array in (X, y, people):
        array.flags.writeable = False
    return X, y, people


def fit(name: str, target: Target, *, seed: int = 0, threads: int = 1, rows=slice(None)):
    X, y, people = faces(name, target)
    classifier = CLASSIFIERS[name].make(target, seed, threads)
    if "max_rounds" in classifier.get_params():
        classifier.set_params(max_rounds=50)  # hundreds of rounds promise nothing that fifty do not
    return classifier.fit(X[rows], y[rows], groups=people[rows])


@cache
def fitted(name: str, target: Target):
    """One classifier for all tests that only ask it."""
    return fit(name, target)


def answers(classifier, target, X):
    return classifier.predict(X) if target.is_regression else classifier.predict_proba(X)


@pytest.mark.parametrize(("name", "target"), EVERY)
def test_it_answers_for_every_row(name, target):
    target = TARGETS[target]
    (X, y, _), classifier = faces(name, target), fitted(name, target)
    predicted = classifier.predict(X)
    assert predicted.shape == y.shape
    assert np.isfinite(predicted).all()
    if target.is_regression:
        assert predicted.dtype == np.float64
        assert (predicted >= 0).all()
        assert not hasattr(classifier, "classes_")
    else:
        assert classifier.classes_.tolist() == list(range(len(target.classes)))
        assert set(predicted) <= set(classifier.classes_)


@pytest.mark.parametrize(("name", "target"), CLASSES)
def test_probabilities_add_up_to_one_and_the_likeliest_is_predicted(name, target):
    target = TARGETS[target]
    classifier, (X, _, _) = fitted(name, target), faces(name, target)
    other, _, _ = faces(name, target, seed=1)
    for vectors in (X, other):
        proba = classifier.predict_proba(vectors)
        assert proba.shape == (len(vectors), len(target.classes))
        assert proba.sum(axis=1) == pytest.approx(1)
        assert (proba >= 0).all()
        assert (classifier.classes_[proba.argmax(axis=1)] == classifier.predict(vectors)).all()


@pytest.mark.parametrize(("name", "target"), EVERY)
def test_it_learns_what_the_vectors_tell(name, target):
    target = TARGETS[target]
    if name == "majority":
        pytest.skip("the floor looks at no vector")
    classifier = fitted(name, target)
    X, y, _ = faces(name, target, seed=1)
    if target.is_regression:
        floor = np.abs(np.median(y) - y).mean()
        assert np.abs(classifier.predict(X) - y).mean() < 0.8 * floor
    else:
        assert (classifier.predict(X) == y).mean() > 1.5 / len(target.classes)


@pytest.mark.parametrize(("name", "target"), AGAIN)
def test_the_same_seed_gives_the_same_bits_whatever_the_threads(name, target):
    target = TARGETS[target]
    X, _, _ = faces(name, target)
    once = answers(fitted(name, target), target, X)
    for threads in (1, 2):
        assert (answers(fit(name, target, threads=threads), target, X) == once).all()


@pytest.mark.parametrize(("name", "target"), AGAIN)
def test_it_can_be_fitted_anew(name, target):
    target = TARGETS[target]
    X, y, people = faces(name, target)
    classifier = fit(name, target, rows=slice(0, 64))
    classifier.fit(X, y, groups=people)
    assert (answers(classifier, target, X) == answers(fitted(name, target), target, X)).all()


@pytest.mark.parametrize(("name", "target"), EVERY)
def test_one_row_gets_the_answer_it_gets_among_others(name, target):
    target = TARGETS[target]
    classifier, (X, _, _) = fitted(name, target), faces(name, target)
    together = answers(classifier, target, X)
    alone = np.concatenate([answers(classifier, target, X[i : i + 1]) for i in range(5)])
    assert alone == pytest.approx(together[:5], rel=1e-4, abs=1e-5)
    order = np.random.default_rng(0).permutation(len(X))
    assert answers(classifier, target, X[order]) == pytest.approx(together[order], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(("name", "target"), AGAIN)
def test_reading_test_rows_changes_nothing_that_was_learned(name, target):
    target = TARGETS[target]
    X, _, _ = faces(name, target)
    classifier = fit(name, target, rows=slice(0, 64))
    before = answers(classifier, target, X[:64])
    answers(classifier, target, X[64:] * 1000)
    assert (answers(classifier, target, X[:64]) == before).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_class_that_training_lacks_is_not_among_its_classes(name):
    X, y, _ = faces(name, AGE_GROUP)
    classifier = fit(name, AGE_GROUP, rows=np.flatnonzero(y != 3))
    if CLASSIFIERS[name].features is not None:
        assert len(classifier.classes_) == 8  # heads that came with a network know every class
    else:
        assert classifier.classes_.tolist() == [0, 1, 2, 4, 5, 6, 7]
        assert 3 not in classifier.predict(X)
    assert classifier.predict_proba(X).shape == (len(y), len(classifier.classes_))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "mlp" else name for name in NAMES]
)
@pytest.mark.parametrize("n_people", [1, 3])
def test_few_subjects_are_enough_to_fit(name, n_people):
    X, y, _ = faces(name, GENDER, n=12)
    people = np.array([f"s{i % n_people}" for i in range(12)])
    classifier = CLASSIFIERS[name].make(GENDER, 0, 1).fit(X, y, groups=people)
    assert classifier.predict(X).shape == (12,)


@pytest.mark.parametrize(("name", "target"), EVERY)
def test_its_summary_and_parameters_are_plain(name, target):
    classifier = fitted(name, TARGETS[target])
    assert json.loads(json.dumps(classifier.summary_)) == classifier.summary_
    assert all(isinstance(note, str) for note in classifier.summary_["notes"])
    assert json.dumps(classifier.shown_parameters(), allow_nan=False)


@pytest.mark.parametrize(("name", "target"), EVERY)
def test_it_can_be_saved_without_pickle(name, target):
    import skops.io

    target = TARGETS[target]
    classifier, (X, _, _) = fitted(name, target), faces(name, target)
    data = skops.io.dumps(classifier)
    trusted = CLASSIFIERS[name].may_hold
    assert set(skops.io.get_untrusted_types(data=data)) <= set(trusted)
    loaded = skops.io.loads(data, trusted=list(trusted))
    assert (answers(loaded, target, X) == answers(classifier, target, X)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_target_of_the_users_own_is_read_too(name):
    if CLASSIFIERS[name].features is not None:
        pytest.skip("its heads give three targets only")
    mood = replace(GENDER, name="mood", classes=("cross", "glad", "sad"))
    X, y, _ = faces(name, mood)
    assert fitted(name, mood).predict_proba(X).shape == (len(y), 3)


TUNABLE = [(name, target) for name, target in EVERY if CLASSIFIERS[name].grid is not None]


@pytest.mark.parametrize(("name", "target"), TUNABLE)
def test_its_grid_is_small_and_contains_its_defaults(name, target):
    target = TARGETS[target]
    kind = CLASSIFIERS[name]
    default = kind.make(target, 0, 1).get_params()
    tried = candidates(kind.grid(target))
    unchanged = [one for one in tried if kind.make(target, 0, 1).set_params(**one).get_params() == default]
    assert len(unchanged) == 1
    assert len(tried) <= 16
    assert json.loads(json.dumps(tried)) == tried


@pytest.mark.parametrize(("name", "target"), TUNABLE)
def test_it_can_be_searched_and_fitted_with_what_was_found(name, target, monkeypatch):
    monkeypatch.setattr("featurekit.estimators._mlp.LEAST_STEPS", 200)
    target = TARGETS[target]
    kind, (X, y, people) = CLASSIFIERS[name], faces(name, target)
    tried = candidates(kind.grid(target))
    grid = {parameter: sorted({tried[0][parameter], tried[-1][parameter]}) for parameter in tried[0]}
    if name == "mlp":
        grid["alpha"] = grid["alpha"][:1]  # its 600 steps are slow
    if "n_estimators" in grid:
        grid["n_estimators"] = (5, 10)  # hundreds of trees promise nothing that ten do not
    found = search(kind, target, X, y, people, grid=grid, n_folds=2)
    assert found.scores.shape == (len(candidates(grid)), 2)
    assert np.isfinite(found.scores).all()
    assert (found.scores <= (0 if target.is_regression else 1)).all()
    assert found.score > (-y.std() if target.is_regression else 1 / len(target.classes))
    best = kind.make(target, 0, 1).set_params(**found.best)
    assert {name: best.get_params()[name] for name in found.best} == found.best
