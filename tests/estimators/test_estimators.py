"""What the smaller estimators decide, on faces made up so that the right decision is known."""

import pickle

import numpy as np
import pytest

from featurekit.data.targets import AGE, AGE_GROUP, GENDER
from featurekit.errors import TargetError
from featurekit.estimators import CLASSIFIERS, check_training_labels
from featurekit.estimators._boosting import XGBoostClassifier
from featurekit.estimators._svm.classifier import SVM


def clouds(n: int = 120, n_classes: int = 3, dim: int = 6, apart: float = 2.0, seed: int = 0):
    """Vectors in one cloud a class, and two faces a person."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n // 2) % n_classes, 2)
    X = rng.normal(size=(n, dim))
    X[np.arange(n), y] += apart
    return X.astype(np.float32), y, np.repeat([f"s{i}" for i in range(n // 2)], 2)


# --- labels


@pytest.mark.parametrize(
    ("target", "labels", "message"),
    [
        (
            GENDER,
            [1, 1, 1],
            r"^All training faces are male, but gender needs at least two classes\. Label faces of another"
            r" class\.$",
        ),
        (
            AGE,
            [30.0, 30.0],
            r"^All training faces have the same age, 30, so nothing can be learned about it\.$",
        ),
        (AGE, [30.0, np.nan], r"^1 training faces have no age\.$"),
        (GENDER, [], r"^No training face has a label of gender\.$"),
    ],
)
def test_labels_that_teach_nothing_are_refused(target, labels, message):
    with pytest.raises(TargetError, match=message):
        check_training_labels(target, np.array(labels))


def test_labels_that_differ_are_enough():
    check_training_labels(GENDER, np.array([0, 1]))
    check_training_labels(AGE, np.array([0.0, 1.0]))


# --- xgboost


def test_long_vectors_are_reduced_inside_and_short_ones_are_not():
    X, y, people = clouds(dim=10)
    assert (
        XGBoostClassifier(components=10, max_rounds=5).fit(X, y, groups=people).summary_.get("components")
        is None
    )
    reduced = XGBoostClassifier(components=4, max_rounds=5).fit(X, y, groups=people)
    assert reduced.summary_["components"] == 4
    assert reduced.axes_.shape == (4, 10)


def test_the_device_is_read_back_from_the_booster():
    X, y, people = clouds()
    assert XGBoostClassifier(max_rounds=5).fit(X, y, groups=people).summary_["device"] == "cpu"


def test_rounds_are_chosen_on_held_out_subjects_or_said_to_be_fixed():
    X, y, people = clouds(apart=0.5)
    chosen = XGBoostClassifier(max_rounds=50, patience=3).fit(X, y, groups=people)
    assert chosen.summary_["rounds"] < 50
    alone = XGBoostClassifier().fit(X, y, groups=np.full(len(X), "s0"))
    assert alone.summary_["rounds"] == 100
    assert alone.summary_["notes"][0].startswith(
        "100 rounds were used, because the number could not be chosen on held-out subjects."
    )


# --- the others


@pytest.mark.slow
def test_long_vectors_of_a_forest_are_reduced_inside():
    X, y, people = clouds(n=200, dim=200, apart=6)
    forest = CLASSIFIERS["random_forest"].make(AGE_GROUP, 0, 1).fit(X[:150], y[:150], groups=people[:150])
    assert forest.axes_.shape == (128, 200)
    assert (forest.predict(X[150:]) == y[150:]).mean() > 0.6


def test_components_are_learned_in_the_training_part_alone():
    X, y, people = clouds(n=200, dim=200)
    changed = X.copy()
    changed[150:] *= 1000
    once, again = (
        XGBoostClassifier(max_rounds=5).fit(vectors[:150], y[:150], groups=people[:150])
        for vectors in (X, changed)
    )
    assert (once.axes_ == again.axes_).all()
    assert once.booster_ == again.booster_


def test_the_floor_gives_the_commonest_class_and_the_median_years():
    X = np.zeros((4, 3), np.float32)
    people = np.array(["a", "b", "c", "d"])
    floor = CLASSIFIERS["majority"].make(GENDER, 0, 1).fit(X, np.array([1, 1, 1, 0]), groups=people)
    assert floor.predict_proba(X[:1]).tolist() == [[0.25, 0.75]]
    years = CLASSIFIERS["majority"].make(AGE, 0, 1).fit(X, np.array([1.0, 20, 30, 90]), groups=people)
    assert years.predict(X).tolist() == [25.0] * 4


def test_floors_are_in_every_comparison_and_the_others_are_not():
    assert [kind.name for kind in CLASSIFIERS if kind.is_baseline] == ["majority", "off_the_shelf"]


@pytest.mark.slow
def test_a_network_of_few_faces_takes_more_epochs():
    X, y, people = clouds(n=60)
    mlp = CLASSIFIERS["mlp"].make(AGE_GROUP, 0, 1).fit(X, y, groups=people)
    assert mlp.summary_["epochs"] == 1280  # 600 steps of 128 faces
    assert mlp.summary_["notes"][0].startswith("1280 epochs. The number is fixed")


def test_parameters_can_be_read_and_set_by_name():
    svm = SVM(C=4.0)
    assert svm.get_params()["C"] == 4.0
    assert svm.set_params(C=5.0).C == 5.0
    assert type(svm.set_params(random_state=np.int64(3)).shown_parameters()["seed"]) is int
    with pytest.raises(ValueError, match="Invalid parameter 'c' for estimator SVM"):
        svm.set_params(c=1)
    assert CLASSIFIERS["mlp"].make(AGE, 0, 1).shown_parameters()["model"] == "MLPRegressor"


@pytest.mark.parametrize("name", CLASSIFIERS.names())
def test_a_classifier_is_pickled_as_its_name(name):
    assert pickle.loads(pickle.dumps(CLASSIFIERS[name])) is CLASSIFIERS[name]
