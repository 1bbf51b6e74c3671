"""Estimators that a user gives, by import path or as objects: fitted as they come, refused in one line."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin  # noqa: TID253
from sklearn.ensemble import ExtraTreesClassifier  # noqa: TID253  # somebody's estimators
from sklearn.linear_model import HuberRegressor, LogisticRegression  # noqa: TID253
from sklearn.naive_bayes import GaussianNB  # noqa: TID253
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor  # noqa: TID253
from sklearn.pipeline import make_pipeline  # noqa: TID253
from sklearn.preprocessing import StandardScaler  # noqa: TID253
from sklearn.svm import LinearSVC, LinearSVR  # noqa: TID253

from featurekit.data.targets import AGE, AGE_GROUP, GENDER
from featurekit.errors import EstimatorError, ModelError, UnknownNameError
from featurekit.estimators import CLASSIFIERS, Resources, fresh, given, settable
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
        (
            "nowhere.All",
            r"^nowhere\.All cannot be imported: No module named 'nowhere'\. .* For a file nowhere\.py in the"
            r" current folder: PYTHONPATH=\. featurekit fit --model nowhere\.All$",
        ),
        ("sklearn.neighbors.Nobody", r"^sklearn\.neighbors\.Nobody cannot be imported: .* 'Nobody'\.$"),
        ("os.system", r"^os\.system is neither a class nor an object of a scikit-learn estimator\.$"),
        ("pathlib.Path", r"^pathlib\.Path is neither a class nor an object of a scikit-learn estimator\.$"),
        ("sklearn.preprocessing.StandardScaler", r"StandardScaler is neither a classifier nor a regressor"),
        ("sklearn.multiclass.OneVsRestClassifier", r"cannot be created without arguments: .*'estimator'\."),
        (".KNeighborsClassifier", r"^\.KNeighborsClassifier cannot be imported: "),
        ("sklearn.", r"^sklearn\. cannot be imported: "),
    ],
)
def test_what_is_no_estimator_is_refused_in_one_line(path, says):
    with pytest.raises(ModelError, match=says) as refusal:
        classifier_named(path)
    assert "\n" not in str(refusal.value)


def test_a_name_without_a_point_is_one_of_ours_or_unknown():
    with pytest.raises(UnknownNameError, match=r"^Unknown model 'svn'\. Did you mean 'svm'\?"):
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
    [note] = ours.summary_["notes"]
    assert note.startswith("LinearSVC gives no probabilities, so each prediction counts as certain")
    assert not ours.gives_probabilities_


def test_years_are_read_by_a_regressor():
    X, y, groups = people()
    ours = kind_of(KNeighborsRegressor()).make(AGE, 0, 1).fit(X, y * 20.0, groups)
    np.testing.assert_array_equal(ours.predict(X), KNeighborsRegressor().fit(X, y * 20.0).predict(X))
    assert not hasattr(ours, "classes_")


# --- labels, and answers that cannot be used


class Said(ClassifierMixin, BaseEstimator):
    """Says whatever a test has it say, and raises what a test has it raise."""

    def __init__(self, answers=None, probabilities=None, raised=None):
        self.answers, self.probabilities, self.raised = answers, probabilities, raised

    def fit(self, X, y):
        if self.raised is not None:
            raise self.raised
        self.classes_, self.seen_ = np.unique(y), y
        return self

    def predict(self, X):
        return np.resize(np.array(self.answers, dtype=object), len(X))

    def predict_proba(self, X):
        if isinstance(self.probabilities, Exception):
            raise self.probabilities
        return np.resize(np.array(self.probabilities), (len(X), len(self.probabilities)))


class SaidYears(RegressorMixin, BaseEstimator):
    """Says the years that a test has it say."""

    def __init__(self, answers=None):
        self.answers = answers

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return self.answers


def test_labels_with_a_hole_are_learned_without_it_and_come_back_as_they_were():
    X, y, groups = people()
    labels = np.array([1, 4, 7])[y]  # nobody of class 0, 2, 3, 5 or 6 in a training part
    ours = kind_of(Said(probabilities=[0.5, 0.2, 0.3])).make(AGE_GROUP, 0, 1).fit(X, labels, groups)
    assert set(ours.model_.seen_.tolist()) == {0, 1, 2}
    assert ours.classes_.tolist() == [1, 4, 7]
    ours.model_.answers = [2, 0]
    assert set(ours.predict(X).tolist()) == {1, 7}


def test_xgboost_learns_labels_with_a_hole():
    X, y, groups = people()
    xgboost = classifier_named("xgboost.XGBClassifier")
    labels = np.array([1, 4, 7])[y]
    ours = fresh(xgboost, AGE_GROUP, parameters={"n_estimators": 2}).fit(X, labels, groups)
    assert set(ours.predict(X).tolist()) <= {1, 4, 7}
    assert ours.predict_proba(X).shape == (len(X), 3)


def test_one_that_an_older_version_fitted_on_labels_with_a_hole_answers_as_it_did():
    X, y, _ = people()
    labels = np.array([1, 4, 7])[y]
    old = kind_of(KNeighborsClassifier()).make(AGE_GROUP, 0, 1)
    old.model_ = KNeighborsClassifier().fit(X, labels)
    old.classes_ = old.model_.classes_
    np.testing.assert_array_equal(old.predict(X), old.model_.predict(X))
    np.testing.assert_array_equal(old.predict_proba(X), old.model_.predict_proba(X))
    old.check_learned(kind_of(KNeighborsClassifier()).make(AGE_GROUP, 0, 1))
    old.classes_ = np.array([1, 4])
    with pytest.raises(ValueError, match="its classes are not those of the estimator inside"):
        old.check_learned(kind_of(KNeighborsClassifier()).make(AGE_GROUP, 0, 1))


def test_columns_are_put_into_the_order_of_the_labels():
    X, y, groups = people(n_classes=2)
    ours = kind_of(Said(probabilities=[0.9, 0.1])).make(GENDER, 0, 1).fit(X, y, groups)
    ours.model_.classes_ = np.array([1, 0])
    assert ours.predict_proba(X)[0].tolist() == [0.1, 0.9]


@pytest.mark.parametrize(
    ("probabilities", "says"),
    [
        (
            [0.5, np.nan],
            r"^Said gives .* used: 120 of 120 rows of probabilities contain NaN or infinite values\.$",
        ),
        ([np.inf, 0.5], "contain NaN or infinite values"),
        (
            [0.5, 0.4],
            r"120 of 120 rows of probabilities are not numbers from 0 to 1 that add up to 1, for example"
            r" one that adds up to 0\.9\.$",
        ),
        ([1.5, -0.5], "are not numbers from 0 to 1 that add up to 1"),
        ([0.2, 0.3, 0.5], r"its probabilities have shape \(120, 3\) instead of \(120, 2\)\.$"),
        (RuntimeError("out\nof luck"), r"^Said could not predict: RuntimeError: out\.$"),
    ],
)
def test_probabilities_that_cannot_be_used_are_one_line_that_names_the_estimator(probabilities, says):
    X, y, groups = people(n_classes=2)
    ours = kind_of(Said(probabilities=probabilities)).make(GENDER, 0, 1).fit(X, y, groups)
    with pytest.raises(EstimatorError, match=says):
        ours.predict_proba(X)


def test_a_label_that_was_never_seen_is_refused():
    X, y, groups = people(n_classes=2)
    for answer in ("foo", 2, 0.5, None):
        ours = kind_of(Said(answers=[0, answer])).make(GENDER, 0, 1).fit(X, y, groups)
        with pytest.raises(
            EstimatorError, match=f"it predicts '{answer}', which was not a label in its training"
        ):
            ours.predict(X)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (np.full(120, np.nan), r"120 of 120 predictions are NaN or infinite\.$"),
        (np.ones((120, 2)), r"its predictions have shape \(120, 2\) instead of \(120,\)\.$"),
        (np.array(["old"] * 120), "its predictions are not numbers"),
    ],
)
def test_years_that_cannot_be_used_are_refused(answers, says):
    X, y, groups = people()
    ours = kind_of(SaidYears(answers)).make(AGE, 0, 1).fit(X, y * 20.0, groups)
    with pytest.raises(EstimatorError, match=says):
        ours.predict(X)


def test_what_an_estimator_raises_is_one_line_with_the_original_behind_it():
    X, y, groups = people()
    for raised, says in (
        (
            ValueError("Input X contains NaN.\nSaid does not take it."),
            "^Said could not be fitted: Input X contains NaN.$",
        ),
        (KeyError("gamma"), "^Said could not be fitted: KeyError: 'gamma'.$"),
        (ZeroDivisionError(), "^Said could not be fitted: ZeroDivisionError.$"),
    ):
        with pytest.raises(EstimatorError, match=says) as refusal:
            kind_of(Said(raised=raised)).make(AGE_GROUP, 0, 1).fit(X, y, groups)
        assert type(refusal.value.__cause__) is type(raised)


@pytest.mark.parametrize("raised", [MemoryError(), KeyboardInterrupt()])
def test_what_stops_the_program_is_nobody_s_mistake(raised):
    X, y, groups = people()
    with pytest.raises(type(raised)):
        kind_of(Said(raised=raised)).make(AGE_GROUP, 0, 1).fit(X, y, groups)


def test_an_error_keeps_its_place_where_it_is_sent_to_another_process():
    import pickle

    error = EstimatorError("KNeighborsClassifier", "could not be fitted", "Too few.").at(
        "gender, fold 2", "mine"
    )
    assert (
        str(pickle.loads(pickle.dumps(error)))
        == str(error)
        == "mine could not be fitted for gender, fold 2: Too few."
    )


# --- as objects


def test_an_object_in_a_module_is_named_by_its_path(tmp_path, monkeypatch):
    (tmp_path / "of_mine.py").write_text(
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import StandardScaler\n"
        "scaled = make_pipeline(StandardScaler(), LogisticRegression(C=0.5))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    kind = classifier_named("of_mine.scaled")
    assert (kind.name, kind.is_given, kind.trusted_types) == ("scaled", True, ())
    X, y, groups = people()
    ours = kind.make(AGE_GROUP, 0, 1).fit(X, y, groups)
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(X, y)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))


def test_one_that_cannot_be_cloned_is_refused_before_anything_is_fitted():
    class Forgetful(Said):
        def __init__(self, answers=None):
            self.answers = list(answers or [])

    with pytest.raises(ModelError, match=r"^Forgetful cannot be cloned: "):
        kind_of(Forgetful((1, 2)))


def test_which_estimator_it_is_is_no_parameter():
    assert "model" not in settable(classifier_named(NEIGHBOURS), GENDER)


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
    with pytest.raises(ModelError, match=r"StandardScaler is neither a classifier nor a regressor"):
        kind_of(StandardScaler())


def test_nothing_given_is_called_as_one_of_ours():
    with pytest.raises(ModelError, match="cannot be called svm"):
        kind_of(GaussianNB(), name="svm")


# --- what may be read back from a file


@pytest.mark.parametrize(
    "estimator", [GaussianNB(), LogisticRegression(), KNeighborsClassifier(), LinearSVC()]
)
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


def test_linear_support_vector_machines_read_faces_by_the_code_of_linear_models():
    assert LinearSVC.predict is LogisticRegression.predict
    assert LinearSVC.decision_function is LogisticRegression.decision_function
    assert LinearSVR.predict is HuberRegressor.predict
    X, y, _ = people()
    for fitted, other in (
        (LinearSVC(dual=False).fit(X, y), LogisticRegression().fit(X, y)),
        (LinearSVR(loss="squared_epsilon_insensitive", dual=False).fit(X, y), HuberRegressor().fit(X, y)),
    ):
        learned = {name for name in vars(fitted) if name.endswith("_")}
        assert learned <= {name for name in vars(other) if name.endswith("_")} | {"n_iter_"}
        assert all(isinstance(vars(fitted)[name], np.ndarray | int | float | np.generic) for name in learned)


def test_the_documentation_names_all_that_is_saved():
    page = Path(__file__).parents[2] / "docs" / "how_to" / "estimators.md"
    text = page.read_text(encoding="utf-8")
    begins = "Models of the following estimators of scikit-learn are saved: "
    passage = text.partition(begins)[2].partition("\n\n")[0]
    assert passage
    for one in given._SAVED:
        name = one.rstrip(".") if one.endswith(".") else one.rpartition(".")[2]
        assert f"`{name}`" in passage


@pytest.mark.parametrize(
    "name", ["ExtraTreesClassifier", "SVC", "Pipeline", "StandardScaler", "system", "Nobody"]
)
def test_of_a_file_no_other_class_is_made(name):
    with pytest.raises(UnknownNameError, match=f"^Unknown model '{name}'"):
        kind_of_saved(name)


def test_neighbours_whose_labels_nobody_knows_are_refused():
    X, y, groups = people()
    kind = kind_of(KNeighborsClassifier())
    fitted = kind.make(AGE_GROUP, 0, 1).fit(X, y, groups)
    fitted.model_._y = fitted.model_._y + 10**6
    with pytest.raises(ValueError, match="label of a stored neighbour"):
        fitted.check_learned(kind.make(AGE_GROUP, 0, 1))
    fitted.model_._y = fitted.model_._y[:5]
    with pytest.raises(ValueError, match="one label for each stored neighbour"):
        fitted.check_learned(kind.make(AGE_GROUP, 0, 1))
    other = kind_of(GaussianNB()).make(AGE_GROUP, 0, 1)
    with pytest.raises(ValueError, match="instead of the expected estimator"):
        fitted.check_learned(other)


def test_steps_of_a_pipeline_that_draw_numbers_draw_those_of_the_seed():
    """Two fits with one seed are equal, though nobody seeded the step; a seed of one's own is kept."""
    from sklearn.decomposition import PCA

    X, y, groups = people(dim=40)
    pipeline = make_pipeline(PCA(3, svd_solver="randomized", iterated_power=0), LogisticRegression())

    def fitted(seed):
        return fresh(kind_of(pipeline), AGE_GROUP, seed=seed).fit(X, y, groups=groups)

    first, again, other = (fitted(seed).predict_proba(X) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    seeded = kind_of(make_pipeline(PCA(3, random_state=7), LogisticRegression()))
    assert fresh(seeded, AGE_GROUP, seed=0).fit(X, y).model_.get_params()["pca__random_state"] == 7
