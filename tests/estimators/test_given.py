"""Estimators that a user gives, by import path or as objects: fitted as they come, refused in one line."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier  # noqa: TID253  # somebody's estimators
from sklearn.linear_model import LogisticRegression  # noqa: TID253
from sklearn.naive_bayes import GaussianNB  # noqa: TID253
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor  # noqa: TID253
from sklearn.pipeline import make_pipeline  # noqa: TID253
from sklearn.preprocessing import StandardScaler  # noqa: TID253
from sklearn.svm import LinearSVC  # noqa: TID253

from featurekit.data.targets import AGE, AGE_GROUP, GENDER
from featurekit.errors import ModelError, UnknownNameError
from featurekit.estimators import CLASSIFIERS, Resources, fresh, settable
from featurekit.estimators.given import classifier_named, kind_of, kind_of_saved

NEIGHBOURS = "sklearn.neighbors.KNeighborsClassifier"


def people(n: int = 120, n_classes: int = 3, dim: int = 20, seed: int = 0):
    """Vectors in one cloud a class, and two faces a person."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n // 2) % n_classes, 2)
    X = rng.normal(size=(n, dim))
    X[np.arange(n), y] += 3
    return X.astype(np.float32), y, np.repeat([f"s{i}" for i in range(n // 2)], 2)


# --- by path


def test_a_path_names_a_class_of_an_installed_package():
    kind = classifier_named(NEIGHBOURS)
    assert (kind.name, kind.is_given, kind.reads) == ("KNeighborsClassifier", True, "embeddings")
    assert kind.reads_target(GENDER)
    assert not kind.reads_target(AGE)
    assert classifier_named("sklearn.neighbors.KNeighborsRegressor").reads_target(AGE)
    assert classifier_named("svm") is CLASSIFIERS["svm"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("nowhere.at.All", r"^nowhere\.at\.All cannot be imported: No module named 'nowhere'\.$"),
        ("sklearn.neighbors.Nobody", r"^sklearn\.neighbors\.Nobody cannot be imported: .* 'Nobody'\.$"),
        ("os.system", r"^os\.system is no class of an estimator of scikit-learn\.$"),
        ("pathlib.Path", r"^pathlib\.Path is no class of an estimator of scikit-learn\.$"),
        ("sklearn.preprocessing.StandardScaler", r"StandardScaler is no classifier and no regressor"),
        ("sklearn.multiclass.OneVsRestClassifier", r"cannot be made as it comes: .*'estimator'\.$"),
        (".KNeighborsClassifier", r"^\.KNeighborsClassifier cannot be imported: "),
        ("sklearn.", r"^sklearn\. cannot be imported: "),
    ],
)
def test_what_is_no_estimator_is_refused_in_one_line(path, says):
    with pytest.raises(ModelError, match=says) as refusal:
        classifier_named(path)
    assert "\n" not in str(refusal.value)


def test_a_name_without_a_point_is_one_of_ours_or_unknown():
    with pytest.raises(UnknownNameError, match=r"^Unknown classifier 'svn'\. Did you mean 'svm'\?"):
        classifier_named("svn")


# --- as it comes


def test_it_is_fitted_on_the_vectors_as_they_are_in_its_own_parameters():
    X, y, groups = people()
    ours = fresh(classifier_named(NEIGHBOURS), AGE_GROUP, blocks=(5, 15)).fit(X, y, groups)
    theirs = KNeighborsClassifier().fit(X, y)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    assert ours.classes_.tolist() == [0, 1, 2]


def test_its_parameters_are_set_by_its_own_names():
    kind = classifier_named(NEIGHBOURS)
    assert "n_neighbors" in settable(kind, GENDER)
    ours = fresh(kind, GENDER, parameters={"n_neighbors": 3})
    assert ours.shown_parameters()["n_neighbors"] == 3
    assert fresh(kind, GENDER).shown_parameters()["n_neighbors"] == 5
    with pytest.raises(ModelError, match="'n_neighbors' parameter of KNeighborsClassifier"):
        fresh(kind, GENDER, parameters={"n_neighbors": "many"}).validate()


def test_chance_is_told_where_it_takes_it_and_threads_change_nothing():
    X, y, groups = people()
    kind = classifier_named("sklearn.ensemble.ExtraTreesClassifier")
    fits = [
        fresh(kind, AGE_GROUP, seed=seed, resources=Resources(threads=threads)).fit(X, y, groups)
        for seed, threads in ((0, 1), (0, 2), (1, 1))
    ]
    said = [one.predict_proba(X + 0.5) for one in fits]
    np.testing.assert_array_equal(
        said[0], ExtraTreesClassifier(random_state=0).fit(X, y).predict_proba(X + 0.5)
    )
    np.testing.assert_array_equal(said[0], said[1])
    assert (said[0] != said[2]).any()
    assert fits[2].shown_parameters()["random_state"] == 1


def test_one_without_probabilities_is_taken_at_its_word_and_it_is_said():
    X, y, groups = people()
    ours = kind_of(LinearSVC()).make(AGE_GROUP, 0, 1).fit(X, y, groups)
    assert set(np.unique(ours.predict_proba(X))) == {0.0, 1.0}
    np.testing.assert_array_equal(ours.predict_proba(X).argmax(axis=1), ours.predict(X))
    assert ours.summary_["notes"] == ["LinearSVC gives no probabilities: each answer counts as sure."]


def test_years_are_read_by_a_regressor():
    X, y, groups = people()
    ours = kind_of(KNeighborsRegressor()).make(AGE, 0, 1).fit(X, y * 20.0, groups)
    np.testing.assert_array_equal(ours.predict(X), KNeighborsRegressor().fit(X, y * 20.0).predict(X))
    assert not hasattr(ours, "classes_")


# --- as objects


def test_an_object_keeps_its_parameters_and_is_not_changed():
    X, y, groups = people()
    given = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    kind = kind_of(given, name="mine")
    ours = kind.make(AGE_GROUP, 0, 1)
    assert ours.shown_parameters()["logisticregression__C"] == 0.1
    ours.set_params(logisticregression__C=2.0).fit(X, y, groups)
    assert given.get_params()["logisticregression__C"] == 0.1
    assert not hasattr(given, "n_features_in_")
    assert kind.name == "mine"
    assert ours.predict(X).shape == y.shape


def test_what_is_no_estimator_of_labels_is_refused_as_an_object_too():
    with pytest.raises(ModelError, match=r"StandardScaler is no classifier and no regressor"):
        kind_of(StandardScaler())


def test_nothing_given_is_called_as_one_of_ours():
    with pytest.raises(ModelError, match="cannot be called svm here"):
        kind_of(GaussianNB(), name="svm")


# --- what may be read back from a file


@pytest.mark.parametrize("estimator", [GaussianNB(), LogisticRegression(), KNeighborsClassifier()])
def test_what_is_plain_arrays_inside_can_be_saved_and_read(estimator):
    import skops.io

    X, y, groups = people()
    kind = kind_of(estimator)
    fitted = kind.make(AGE_GROUP, 0, 1).fit(X, y, groups)
    data = skops.io.dumps(fitted)
    saved = kind_of_saved(kind.name)
    assert set(skops.io.get_untrusted_types(data=data)) <= set(saved.may_hold)
    loaded = skops.io.loads(data, trusted=list(saved.may_hold))
    loaded.check_learned(saved.make(AGE_GROUP, 0, 1))
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize(
    "name", ["ExtraTreesClassifier", "SVC", "Pipeline", "StandardScaler", "system", "Nobody"]
)
def test_of_a_file_no_other_class_is_made(name):
    with pytest.raises(UnknownNameError, match=f"^Unknown classifier '{name}'"):
        kind_of_saved(name)


def test_neighbours_whose_labels_nobody_knows_are_refused():
    X, y, groups = people()
    kind = kind_of(KNeighborsClassifier())
    fitted = kind.make(AGE_GROUP, 0, 1).fit(X, y, groups)
    fitted.model_._y = fitted.model_._y + 10**6
    with pytest.raises(ValueError, match="labels that it does not know"):
        fitted.check_learned(kind.make(AGE_GROUP, 0, 1))
    fitted.model_._y = fitted.model_._y[:5]
    with pytest.raises(ValueError, match="not as many as their labels"):
        fitted.check_learned(kind.make(AGE_GROUP, 0, 1))
    other = kind_of(GaussianNB()).make(AGE_GROUP, 0, 1)
    with pytest.raises(ValueError, match="is not what it fits"):
        fitted.check_learned(other)
