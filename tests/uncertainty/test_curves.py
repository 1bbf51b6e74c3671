"""Areas under curves are what they are defined as, also for resampled subjects."""

import numpy as np
import pytest

from featurekit.uncertainty.curves import ScoredClass, average_precisions, resampled_areas, roc_areas
from featurekit.uncertainty.resampling import RESAMPLES, resampled_sums


def counts_at(scores, own):
    """The number of positive and of negative faces at each distinct score, the highest first."""
    levels = np.unique(scores)[::-1]
    return [np.array([(scores[chosen] == level).sum() for level in levels], float) for chosen in (own, ~own)]


@pytest.fixture(scope="module")
def faces():
    """120 faces of 50 subjects whose scores have ties, as true classes, scores and subjects."""
    rng = np.random.default_rng(7)
    subjects = rng.integers(0, 50, 120)
    own = rng.random(120) < 0.4
    return own, np.round(np.clip(own * 0.25 + rng.random(120) * 0.75, 0, 1), 2), subjects


def test_the_area_is_the_share_of_pairs_in_the_right_order(faces):
    own, scores, _ = faces
    won = [(one > other) + (one == other) / 2 for one in scores[own] for other in scores[~own]]
    assert float(roc_areas(*counts_at(scores, own))) == pytest.approx(np.mean(won))


def test_the_average_precision_is_the_mean_of_the_precisions_at_the_positive_faces(faces):
    own, scores, _ = faces
    precisions = [own[scores >= score].mean() for score in scores[own]]
    assert float(average_precisions(*counts_at(scores, own))) == pytest.approx(np.mean(precisions))


def test_without_positive_faces_there_is_no_area():
    some, none = np.array([1.0, 2.0]), np.zeros(2)
    assert np.isnan(roc_areas(none, some))
    assert np.isnan(roc_areas(some, none))
    assert np.isnan(average_precisions(none, some))
    assert float(average_precisions(some, none)) == 1


def by_scikit_learn(own, scores, weights=None):
    """The ROC-AUC and the average precision of faces with weights."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    return [score(own, scores, sample_weight=weights) for score in (roc_auc_score, average_precision_score)]


def drawn_areas(own, scores, subjects):
    """The areas of resamples, a row of both for each, of the class and of all other faces."""
    classes = []
    for chosen, its_scores in ((own, scores), (~own, -scores)):
        area, precision = by_scikit_learn(chosen, its_scores)
        classes.append(
            ScoredClass(scores=its_scores, is_positive=chosen, roc_auc=area, average_precision=precision)
        )
    return resampled_areas(classes, subjects, seed=3)


def test_a_resample_has_each_subject_with_all_its_faces_as_often_as_it_was_drawn(faces):
    own, scores, subjects = faces
    codes = np.unique(subjects, return_inverse=True)[1]
    often = resampled_sums(np.eye(codes.max() + 1), seed=3)[:, codes]
    found, others = drawn_areas(*faces)
    assert found.shape == (RESAMPLES, 2)
    assert others[:6] == pytest.approx(
        np.array([by_scikit_learn(~own, -scores, weights) for weights in often[:6]])
    )
    assert found[:6] == pytest.approx(
        np.array([by_scikit_learn(own, scores, weights) for weights in often[:6]])
    )


def test_with_many_scores_the_resamples_are_nearly_the_same_and_centred():
    rng = np.random.default_rng(0)
    own = rng.random(2000) < 0.1
    scores, subjects = own + rng.normal(size=2000), np.arange(2000)
    often = resampled_sums(np.eye(2000), seed=3, n_resamples=6)
    found, _ = drawn_areas(own, scores, subjects)
    wanted = np.array([by_scikit_learn(own, scores, weights) for weights in often])
    assert found[:6] == pytest.approx(wanted, abs=0.002)
    assert found.mean(axis=0) == pytest.approx(np.array(by_scikit_learn(own, scores)), abs=0.02)
