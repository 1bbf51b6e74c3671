"""What every feature that is fitted per fold keeps; a new one is tested by existing."""

import numpy as np
import pytest

from featurekit.data.targets import GENDER
from featurekit.estimators import CLASSIFIERS
from featurekit.estimators.fitted_features import FITTED_FEATURES, frozen_only, types_of, with_fitted
from featurekit.networks.backbones import BACKBONES
from featurekit.threads import one_blas_thread

NAMES = FITTED_FEATURES.names()
every_feature = pytest.mark.parametrize("name", NAMES)


def vectors(name, n=40, seed=0):
    """Vectors of the frozen feature that a feature starts from, two faces of each subject."""
    backbone, layer = frozen_only(FITTED_FEATURES[name].reads)
    X = np.random.default_rng(seed).uniform(size=(n, backbone.layers[layer])).astype(np.float32)
    return X, np.repeat(np.arange(n // 2) % 2, 2), np.repeat([f"s{i}" for i in range(n // 2)], 2)


def learned(name, X):
    return FITTED_FEATURES[name].make(0).fit(X)


@every_feature
def test_what_is_said_of_it_can_be_looked_up(name):
    one = FITTED_FEATURES[name]
    backbone, layer = frozen_only(one.reads)
    assert one.reads == f"{backbone.name}:{layer}"
    assert name not in BACKBONES.names()
    assert ":" not in name
    assert "+" not in name
    assert one.length > 0


@every_feature
@pytest.mark.parametrize("n_faces", [5, 40])
def test_its_vectors_are_finite_and_not_longer_than_it_says(name, n_faces):
    X, _, _ = vectors(name, 60)
    transformer = learned(name, X[:n_faces])
    found = transformer.transform(X[n_faces:])
    assert found.dtype == np.float32
    assert found.shape[0] == len(X) - n_faces
    assert 0 < found.shape[1] <= FITTED_FEATURES[name].length
    assert np.isfinite(found).all()
    assert isinstance(transformer.note_, str)
    assert transformer.note_.endswith(".")


@every_feature
def test_it_learns_the_same_bits_from_the_same_faces_whatever_the_threads(name):
    X, _, _ = vectors(name, 60)
    kept = X.copy()
    found = learned(name, X[:40]).transform(X)
    with one_blas_thread():
        again = learned(name, X[:40].copy()).transform(X)
    assert (found == again).all()
    assert (kept == X).all()


@every_feature
def test_it_is_a_transformer_as_scikit_learn_checks_them(name):
    from sklearn.utils.estimator_checks import check_estimator

    check_estimator(FITTED_FEATURES[name].make(0), on_skip=None)


@every_feature
def test_a_classifier_with_it_is_saved_without_pickle_and_predicts_the_same_bits(name):
    import skops.io

    X, y, people = vectors(name)
    kind = CLASSIFIERS["logistic_regression"]
    classifier = with_fitted(kind.make(GENDER, 0, 1), (name,), (X.shape[1],), 0).fit(X, y, groups=people)
    trusted = [*kind.may_hold, *types_of([name])]
    data = skops.io.dumps(classifier)
    assert set(skops.io.get_untrusted_types(data=data)) <= set(trusted)
    loaded = skops.io.loads(data, trusted=trusted)
    loaded.check_learned(with_fitted(kind.make(GENDER, 0, 1), (name,), (X.shape[1],), 0))
    assert (loaded.predict_proba(X) == classifier.predict_proba(X)).all()
