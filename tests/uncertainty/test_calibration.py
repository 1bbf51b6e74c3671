"""Whether a model knows when it is wrong: against other people's numbers, by hand, and by simulation."""

import numpy as np
import pytest
from scipy.stats import beta, binomtest, norm

from featurekit.evaluation.scores import log_losses
from featurekit.uncertainty.abstention import Abstention, Step, abstention, risk_coverage
from featurekit.uncertainty.calibration import Calibration, calibrate_classes, calibrate_years
from featurekit.uncertainty.conformal import (
    ClassSets,
    class_scores,
    conformal_threshold,
    cross_fitted_sets,
    fit_class_sets,
)
from featurekit.uncertainty.coverage import coverage_by
from featurekit.uncertainty.cross_fitting import rounds
from featurekit.uncertainty.intervals import FEWEST
from featurekit.uncertainty.reliability import expected_calibration_error, reliability
from featurekit.uncertainty.temperature import TEMPERATURES, apply_temperature, cross_fitted, fit_temperature
from featurekit.uncertainty.year_ranges import YearRanges, cross_fitted_ranges, fit_year_ranges

K = 4


def people(n):
    return np.array([f"s{number:05}" for number in range(n)])


def calibrated(n, rng, n_classes=K):
    """Probabilities, and classes drawn from just these."""
    probabilities = rng.dirichlet(np.full(n_classes, 0.5), n)
    y = (rng.random((n, 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return probabilities, y


def binary(sure, right):
    """Answers of a given confidence, and classes that make them right or not."""
    sure = np.asarray(sure, float)
    return np.stack([sure, 1 - sure], axis=1), np.where(right, 0, 1)


# ---------------------------------------------------------------- temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_on_is_found_again(temperature):
    probabilities, y = calibrated(20_000, np.random.default_rng(0))
    spoilt = apply_temperature(probabilities, 1 / temperature)
    assert fit_temperature(spoilt, y) == pytest.approx(temperature, rel=0.03)


def test_the_temperature_is_scikit_learns():
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    X = rng.normal(size=(600, 3))
    y = (X @ rng.normal(size=(3, K)) + rng.gumbel(size=(600, K))).argmax(axis=1)
    model = LogisticRegression(C=100.0).fit(X[:60], y[:60])  # too sure of itself
    theirs = CalibratedClassifierCV(FrozenEstimator(model), method="temperature").fit(X[60:], y[60:])
    found = fit_temperature(model.predict_proba(X[60:]), y[60:])
    assert found > 1.05
    assert found == pytest.approx(1 / theirs.calibrated_classifiers_[0].calibrators[0].beta_, rel=1e-4)
    ours = apply_temperature(model.predict_proba(X), found)
    assert np.allclose(ours, theirs.predict_proba(X), atol=1e-4)


def test_temperature_changes_no_answer_and_lowers_the_loss_it_is_fitted_to():
    probabilities, y = calibrated(300, np.random.default_rng(2))
    sharp = apply_temperature(probabilities, 0.3)
    cooled = apply_temperature(sharp, fit_temperature(sharp, y))
    assert np.array_equal(cooled.argmax(axis=1), sharp.argmax(axis=1))
    assert np.allclose(cooled.sum(axis=1), 1)
    assert log_losses(y, cooled).mean() < log_losses(y, sharp).mean()
    assert np.allclose(apply_temperature(probabilities, 1.0), probabilities, atol=1e-11)


def test_a_class_that_nobody_is_given_does_not_disturb():
    probabilities, y = calibrated(400, np.random.default_rng(3), 3)
    with_nobody = np.insert(probabilities, 1, 0.0, axis=1)
    own = fit_temperature(probabilities, y)
    assert fit_temperature(with_nobody, np.where(y > 0, y + 1, 0)) == pytest.approx(own, rel=1e-4)


def test_sure_mistakes_ask_for_a_high_temperature_and_a_finite_one():
    # Four of five are right, each with a probability of 1: 1e-12 ** (1 / T) must be a quarter.
    probabilities = np.repeat([[1.0, 0.0]], 5, axis=0)
    found = fit_temperature(probabilities, np.array([0, 0, 0, 0, 1]))
    assert found == pytest.approx(12 * np.log(10) / np.log(4), rel=1e-5)
    assert apply_temperature(probabilities, found)[0] == pytest.approx([0.8, 0.2])


@pytest.mark.parametrize("sure", [0.6, 0.9])
def test_a_model_that_is_always_right_or_always_wrong_stays_within_limits(sure):
    probabilities, right = binary(np.full(5, sure), np.ones(5, bool))
    assert TEMPERATURES[0] <= fit_temperature(probabilities, right) < 0.2
    assert fit_temperature(probabilities, 1 - right) == pytest.approx(TEMPERATURES[1], rel=0.01)
    assert np.isfinite(apply_temperature(probabilities, TEMPERATURES[0])).all()


def test_where_no_temperature_is_better_it_is_left_at_one():
    assert fit_temperature(np.full((6, 3), 1 / 3), np.array([0, 1, 2, 0, 0, 0])) == 1.0
    assert fit_temperature(np.array([[1.0, 0.0]]), np.array([0])) == 1.0


def test_a_folds_temperature_does_not_depend_on_its_own_labels():
    rng = np.random.default_rng(4)
    probabilities, y = calibrated(300, rng)
    folds, subjects = np.arange(300) % 3, people(300)
    first, temperatures = cross_fitted(probabilities, y, folds, subjects)
    others = folds != 1
    assert temperatures[1] == fit_temperature(probabilities[others], y[others])
    assert np.array_equal(first[~others], apply_temperature(probabilities[~others], temperatures[1]))
    y[~others] = rng.integers(0, K, (~others).sum())
    second, changed = cross_fitted(probabilities, y, folds, subjects)
    assert np.array_equal(second[~others], first[~others])
    assert changed[0] != temperatures[0]


def test_nobody_is_learned_from_who_is_also_in_the_fold():
    folds = np.array([0, 0, 1, 1, 2, 2])
    subjects = np.array(["a", "b", "a", "c", "d", "d"])
    found = {fold: (here.tolist(), others.tolist()) for fold, here, others in rounds(folds, subjects)}
    assert found[0] == ([True, True, False, False, False, False], [False, False, False, True, True, True])
    assert found[2][1] == [True, True, True, True, False, False]


def test_a_fold_that_holds_everybody_is_refused():
    with pytest.raises(ValueError, match="Fold 0 holds every person"):
        list(rounds(np.zeros(3, int), people(3)))


def test_what_does_not_belong_together_is_refused():
    probabilities = np.full((3, 2), 0.5)
    with pytest.raises(ValueError, match=r"one of everything\. Got 3, 2"):
        fit_temperature(probabilities, np.array([0, 1]))
    with pytest.raises(ValueError, match=r"one of everything\. Got 0, 0"):
        risk_coverage(np.array([]), np.array([], bool))
    with pytest.raises(ValueError, match="class numbers from 0 to 1"):
        reliability(probabilities, np.array([0, 1, 2]))
    with pytest.raises(ValueError, match="class numbers from 0 to 1"):
        reliability(probabilities, np.array([0, 1, -1]))


# ---------------------------------------------------------------- is it calibrated


@pytest.mark.parametrize(("equal_mass", "strategy"), [(True, "quantile"), (False, "uniform")])
@pytest.mark.parametrize("n_decimals", [1, 9])
def test_the_curve_is_scikit_learns(equal_mass, strategy, n_decimals):
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(5)
    sure = rng.uniform(0.5, 1, 500).round(n_decimals)
    probabilities, y = binary(sure, rng.random(500) < sure**2)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == y
    theirs = calibration_curve(right, confidence, n_bins=7, strategy=strategy)
    ours = reliability(probabilities, y, n_bins=7, equal_mass=equal_mass)
    assert np.allclose([[one.right, one.confidence] for one in ours], np.stack(theirs, axis=1))
    assert sum(one.n_faces for one in ours) == 500


def test_equal_bins_have_as_many_faces_and_the_surest_come_last():
    probabilities, y = calibrated(1000, np.random.default_rng(6))
    bins = reliability(probabilities, y)
    assert [one.n_faces for one in bins] == [100] * 10
    assert sorted(one.confidence for one in bins) == [one.confidence for one in bins]


def test_the_plain_error_is_what_one_works_out_by_hand():
    # Two of four right at 0.9 and one of one at 0.6: (4 · 0.4 + 1 · 0.4) / 5.
    probabilities, y = binary([0.9, 0.9, 0.9, 0.9, 0.6], [1, 1, 0, 0, 1])
    found = expected_calibration_error(probabilities, y, people(5), equal_mass=False)
    assert found.plain == pytest.approx(0.4)
    # The faces at 0.9: 0.4 off with a spread of 0.25 · √(4 / 3); one face alone has no spread.
    spread = 0.25 * np.sqrt(4 / 3)
    z = 0.4 / spread
    by_chance = spread * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + 0.4 * (1 - 2 * norm.sf(z)) - 0.4
    assert found.value == pytest.approx(0.4 - 0.8 * by_chance)
    assert found.low < found.value < found.high


def errors_of(n_persons, n_draws, *, over, faces=(1,)):
    """Calibration errors of a model that is too sure by so much, on persons drawn anew."""
    rng = np.random.default_rng(7)
    found = []
    for draw in range(n_draws):
        subjects = np.repeat(people(n_persons), rng.choice(faces, n_persons))
        codes = np.unique(subjects, return_inverse=True)[1]
        sure = rng.uniform(0.6, 1, len(subjects))
        # Half of what decides whether a face is read rightly is the person's.
        luck = (rng.normal(size=n_persons)[codes] + rng.normal(size=len(subjects))) / np.sqrt(2)
        probabilities, y = binary(sure, luck < norm.ppf(sure - over))
        found.append(expected_calibration_error(probabilities, y, subjects, seed=draw))
    return found


@pytest.mark.slow
def test_the_correction_takes_away_part_of_what_chance_adds():
    perfect = errors_of(150, 60, over=0.0, faces=(1, 1, 6))
    plain, value = (np.mean([getattr(one, name) for one in perfect]) for name in ("plain", "value"))
    assert plain > 0.04
    assert 0.5 < value / plain < 0.68
    assert np.mean([one.low == 0.0 for one in perfect]) > 0.88
    off = errors_of(150, 60, over=0.05, faces=(1, 1, 6))
    plain, value = (np.mean([getattr(one, name) for one in off]) - 0.05 for name in ("plain", "value"))
    assert plain > 0.01
    assert abs(value) < 0.6 * plain


@pytest.mark.slow
@pytest.mark.parametrize("over", [0.0, 0.03])
@pytest.mark.parametrize("faces", [(1,), (1, 1, 1, 20)])
def test_the_interval_of_the_error_holds_the_truth(over, faces):
    found = errors_of(300, 120, over=over, faces=faces)
    assert np.mean([one.low <= over <= one.high for one in found]) >= 0.91


def test_more_photographs_of_the_same_persons_make_no_error_surer():
    probabilities, y = calibrated(200, np.random.default_rng(8))
    once = expected_calibration_error(probabilities, y, people(200))
    often = expected_calibration_error(
        *(np.repeat(one, 5, axis=0) for one in (probabilities, y, people(200)))
    )
    assert (often.low, often.value, often.high) == pytest.approx((once.low, once.value, once.high))


@pytest.mark.parametrize("right", [True, False])
def test_one_face_or_only_one_kind_of_answer_has_an_error_too(right):
    one = expected_calibration_error(*binary([0.8], [right]), people(1))
    assert (one.value, one.low, one.high) == pytest.approx([0.2 if right else 0.8] * 3)
    sure = expected_calibration_error(*binary(np.ones(40), np.full(40, right)), people(40))
    assert (sure.plain, sure.value, sure.low, sure.high) == pytest.approx([0.0 if right else 1.0] * 4)


# ---------------------------------------------------------------- declining to answer


def test_the_curve_and_its_area_are_what_one_works_out_by_hand():
    curve = risk_coverage(np.array([0.2, 0.9, 0.5, 0.7]), np.array([True, False, False, True]))
    assert curve.confidence.tolist() == [0.9, 0.7, 0.5, 0.2]
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.risk == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert curve.area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert (curve.risk_at(0.0), curve.risk_at(0.5), curve.risk_at(0.51)) == pytest.approx((0, 1 / 2, 1 / 3))
    assert (curve.coverage_at(0.4), curve.coverage_at(0.5), curve.coverage_at(0.0)) == (0.75, 1.0, 0.25)


def test_faces_of_the_same_confidence_are_answered_together_in_any_order():
    confidence = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    wrong = np.array([False, True, False, False, True])
    curve = risk_coverage(confidence, wrong)
    assert curve.coverage.tolist() == [0.2, 0.8, 1.0]
    assert curve.risk_at(0.4) == 0.25  # there is no answering only one of the three
    assert curve.area == pytest.approx((0 + 1 / 6 + 2 / 9 + 1 / 4 + 2 / 5) / 5)
    for order in ([4, 3, 2, 1, 0], [2, 1, 3, 0, 4], [3, 2, 1, 4, 0]):
        other = risk_coverage(confidence[order], wrong[order])
        assert other.area == pytest.approx(curve.area)
        assert np.array_equal(other.risk, curve.risk)


def test_a_confidence_that_says_nothing_has_the_risk_as_its_area():
    wrong = np.arange(50) % 5 == 0
    assert risk_coverage(np.full(50, 0.7), wrong).area == pytest.approx(0.2)
    assert risk_coverage(1.0 - wrong, wrong).area < 0.03 < 0.2 < 0.5 < risk_coverage(wrong * 1.0, wrong).area


@pytest.mark.parametrize("wrong", [True, False])
def test_the_curve_of_one_face_is_that_face(wrong):
    curve = risk_coverage(np.array([1.0]), np.array([wrong]))
    assert (curve.area, curve.risk_at(0.8), curve.coverage_at(0.5)) == (wrong, wrong, not wrong)


def test_without_a_mistake_the_bound_is_that_of_clopper_and_pearson():
    found = abstention(np.full(200, 0.9), np.zeros(200, bool), people(200))
    assert [(one.coverage, one.risk) for one in found.steps] == [(1.0, 0.0)]
    assert found.steps[0].bound == pytest.approx(1 - 0.05 ** (1 / 200))
    assert found.threshold_for(0.015) == 0.9
    assert found.threshold_for(0.014) is None


def test_many_faces_of_few_persons_prove_little():
    wrong, sure = np.zeros(1000, bool), np.linspace(0.5, 1, 1000)
    assert abstention(sure, wrong, people(1000)).threshold_for(0.05) == 0.5
    assert abstention(sure, wrong, np.repeat(people(10), 100)).threshold_for(0.05) is None


def test_a_bound_knows_when_the_persons_with_many_faces_are_the_ones_read_wrongly():
    # Of 400 persons with one face nobody is read wrongly, of 20 with ten faces every second one.
    subjects = np.repeat(np.arange(420), [1] * 400 + [10] * 20)
    wrong = (subjects >= 400) & (subjects % 2 == 0)
    found = abstention(np.ones(600), wrong, subjects).steps[0]
    # By hand: what each person adds beyond her share of 1 / 6, squared.
    squares = 400 / 36 + 10 * (10 - 10 / 6) ** 2 + 10 * (10 / 6) ** 2
    n = (1 / 6) * (5 / 6) / (squares * 420 / 419 / 600**2)
    assert found.bound == pytest.approx(beta.ppf(0.95, n / 6 + 1, n * 5 / 6))
    assert n < found.persons / 2


def test_the_lowest_confidence_that_keeps_the_risk_is_chosen():
    sure = np.linspace(0, 1, 4001)
    wrong = (sure < 0.5) & (np.arange(4001) % 2 == 0)
    found = abstention(sure, wrong, people(4001))
    assert 0.38 < found.threshold_for(0.1) < 0.42 < 0.5 <= found.threshold_for(0.005) < 0.56
    assert found.threshold_for(0.9) == found.steps[-1].confidence == 0.0
    assert [one.coverage for one in found.steps] == sorted(one.coverage for one in found.steps)
    for step in found.steps:
        answered = sure >= step.confidence
        assert (step.coverage, step.risk) == (answered.mean(), wrong[answered].mean())
        assert step.bound > step.risk


def test_what_is_surer_must_keep_the_risk_too():
    """A model that is wrong where it is surest is not let answer there for being right elsewhere."""
    sure = np.linspace(0, 1, 2000)
    assert abstention(sure, sure > 0.8, people(2000)).steps[-1].bound < 0.22
    assert abstention(sure, sure > 0.8, people(2000)).threshold_for(0.25) is None


def test_a_model_that_is_always_wrong_should_never_answer():
    assert abstention(np.linspace(0, 1, 50), np.ones(50, bool), people(50)).threshold_for(0.99) is None
    one = abstention(np.array([1.0]), np.array([False]), people(1))
    assert (one.threshold_for(0.5), one.steps[0].bound) == (None, pytest.approx(0.95))


@pytest.mark.parametrize(("faces", "wanted"), [((1,), 0.1), ((1, 1, 1, 12), 0.25)])
def test_the_risk_that_was_asked_for_is_kept(faces, wanted):
    """Persons with many faces are the harder ones, and are read wrongly together."""
    rng = np.random.default_rng(9)
    hard = np.where(np.array(faces) > 1, 1.0, 0.5)
    broken = answered = 0
    for _ in range(80):
        kinds = rng.integers(0, len(faces), 1000)
        codes = np.repeat(np.arange(1000), np.array(faces)[kinds])
        sure = rng.uniform(0.5, 1, len(codes))
        risk = (1.05 - sure) * hard[kinds][codes]
        luck = 0.9 * rng.normal(size=1000)[codes] + np.sqrt(1 - 0.9**2) * rng.normal(size=len(codes))
        threshold = abstention(sure, luck < norm.ppf(risk), codes).threshold_for(wanted)
        if threshold is not None:
            answered += 1
            # Of all persons there could be; those at hand are chance.
            broken += (1.05 - (threshold + 1) / 2) * np.average(hard, weights=faces) > wanted
    assert answered > 40
    assert broken / 80 <= 0.05


# ---------------------------------------------------------------- sets that hold the truth


def test_with_one_face_a_person_it_is_the_usual_quantile():
    scores = np.random.default_rng(10).permutation(np.arange(1.0, 100.0))
    assert conformal_threshold(scores, 0.1, people(99)) == 90.0
    assert conformal_threshold(scores, 0.05, people(99)) == 95.0
    assert conformal_threshold(scores[:1], 0.5, people(1)) == scores[0]
    assert conformal_threshold(scores[:1], 0.49, people(1)) == np.inf


def test_a_person_counts_for_one_however_many_faces_there_are():
    scores = np.concatenate([np.arange(1.0, 10.0), np.full(500, 20.0)])
    subjects = np.concatenate([people(9), np.repeat("z", 500)])
    assert conformal_threshold(scores, 0.2, subjects) == 9.0
    assert conformal_threshold(scores, 0.2, people(509)) == 20.0


def covered_by_threshold(n_draws, *, alpha, by_face):
    """Share of new persons' faces that are covered, where those with many faces are the easy ones."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(n_draws):
        counts = rng.choice([1, 2, 80], 120, p=[0.6, 0.2, 0.2])
        subjects = np.repeat(people(120), counts)
        codes = np.unique(subjects, return_inverse=True)[1]
        width = np.where(counts > 10, 0.3, 1.5) * rng.gamma(4, 0.25, 120)
        scores = width[codes] * np.abs(rng.normal(size=len(subjects)))
        threshold = conformal_threshold(scores, alpha, people(len(scores)) if by_face else subjects)
        # Of new persons with these widths exactly; only the persons at hand are chance.
        many, few = (scale * rng.gamma(4, 0.25, 4000) for scale in (0.3, 1.5))
        each = [1 - 2 * norm.sf(threshold / one).mean() for one in (many, few)]
        found.append(0.2 * each[0] + 0.8 * each[1])
    return np.mean(found)


def test_as_many_new_persons_are_covered_as_was_promised():
    assert 0.9 <= covered_by_threshold(150, alpha=0.1, by_face=False) + 0.005 <= 0.92
    # What counting faces would have done.
    assert covered_by_threshold(50, alpha=0.1, by_face=True) < 0.6


def test_sets_of_neighbours_grow_to_the_likelier_side():
    scores = class_scores(np.array([[0.1, 0.2, 0.4, 0.15, 0.15], [0.6, 0.0, 0.0, 0.0, 0.4]]), ordered=True)
    assert scores[0] == pytest.approx([0.9, 0.4, 0.0, 0.6, 0.75])
    assert scores[1] == pytest.approx([0.0, 0.6, 0.6, 0.6, 0.6])
    assert class_scores(np.array([[0.25, 0.75]]), ordered=False).tolist() == [[0.75, 0.25]]


@pytest.mark.parametrize("per_class", [True, False])
def test_ordered_sets_have_no_gaps_and_no_set_is_empty(per_class):
    rng = np.random.default_rng(12)
    probabilities, y = calibrated(600, rng, 8)
    subjects, folds = people(600), np.arange(600) % 5
    how = {"alpha": 0.3, "per_class": per_class}
    sets = cross_fitted_sets(probabilities, y, folds, subjects, ordered=True, **how)
    for row in sets:
        inside = np.flatnonzero(row)
        assert np.array_equal(inside, np.arange(inside[0], inside[-1] + 1))
    assert sets[np.arange(600), probabilities.argmax(axis=1)].all()
    loose = cross_fitted_sets(probabilities, y, folds, subjects, ordered=False, **how)
    assert loose.any(axis=1).all()


def test_a_gap_that_thresholds_of_each_class_would_leave_is_filled():
    probabilities = np.array([[0.5, 0.1, 0.4]])
    assert ClassSets((1.0, 0.0, 1.0), ordered=True).of(probabilities).tolist() == [[True, True, True]]
    assert ClassSets((1.0, 0.0, 1.0), ordered=False).of(probabilities).tolist() == [[True, False, True]]
    assert ClassSets((0.0, 0.0, 0.0), ordered=False).of(probabilities).tolist() == [[True, False, False]]


@pytest.mark.parametrize("ordered", [True, False])
def test_sets_hold_the_truth_as_often_as_was_asked_for_of_each_class_too(ordered):
    rng = np.random.default_rng(13)
    n = 8000
    probabilities, y = calibrated(n, rng, 5)
    y = np.where(rng.random(n) < 0.1, 0, y)  # the first class is often taken for another
    folds, subjects = np.arange(n) // 2 % 5, np.repeat(people(n // 2), 2)
    for per_class in (True, False):
        sets = cross_fitted_sets(
            probabilities, y, folds, subjects, alpha=0.1, ordered=ordered, per_class=per_class
        )
        held = sets[np.arange(n), y]
        assert held.mean() == pytest.approx(0.9, abs=0.02 if per_class else 0.01)
        shares = [held[y == number].mean() for number in range(5)]
        assert (min(shares) > 0.87) == per_class


def test_no_label_of_a_fold_decides_its_own_sets_and_ranges():
    rng = np.random.default_rng(14)
    probabilities, y = calibrated(200, rng)
    years, true = rng.uniform(0, 80, 200), rng.uniform(0, 80, 200)
    folds, subjects = np.arange(200) % 4, people(200)
    how = {"alpha": 0.2, "ordered": True, "per_class": True}
    sets = cross_fitted_sets(probabilities, y, folds, subjects, **how)
    ranges = cross_fitted_ranges(years, true, folds, subjects, alpha=0.2)
    here = folds == 2
    changed_sets = cross_fitted_sets(probabilities, np.where(here, 0, y), folds, subjects, **how)
    changed = cross_fitted_ranges(years, np.where(here, 5.0, true), folds, subjects, alpha=0.2)
    assert np.array_equal(changed_sets[here], sets[here])
    assert np.array_equal(changed[here], ranges[here])
    assert not np.array_equal(changed[~here], ranges[~here])


def test_a_class_that_was_never_seen_is_never_left_out():
    probabilities, y = calibrated(100, np.random.default_rng(15), 3)
    fitted = fit_class_sets(
        probabilities, np.minimum(y, 1), people(100), alpha=0.1, ordered=False, per_class=True
    )
    assert fitted.thresholds[2] == np.inf
    assert fitted.of(probabilities)[:, 2].all()


def test_a_model_that_is_always_right_gives_single_answers_and_one_that_is_always_wrong_all_of_them():
    probabilities, y = binary(np.full(60, 0.9), np.ones(60, bool))
    how = {"alpha": 0.1, "ordered": False, "per_class": False}
    right = fit_class_sets(probabilities, y, people(60), **how).of(probabilities)
    wrong = fit_class_sets(probabilities, 1 - y, people(60), **how).of(probabilities)
    assert (right.sum(axis=1) == 1).all()
    assert wrong.all()


def test_of_too_few_persons_everything_is_possible():
    probabilities, y = calibrated(3, np.random.default_rng(16))
    fitted = fit_class_sets(probabilities, y, people(3), alpha=0.1, ordered=True, per_class=False)
    assert fitted.of(probabilities).all()
    years = np.array([5.0, 60.0])
    for n in (1, 2):
        ranges = fit_year_ranges(years[:n], years[:n] + 1, people(n), alpha=0.1)
        # Of all ages that were seen; the years that were read are always among them.
        assert ranges.of(np.array([6.0, 30.0])).tolist() == [
            [6, 6 if n == 1 else 61],
            [6, 30 if n == 1 else 61],
        ]


def shrunk_readings(n, seed):
    """True ages as people have them in a data set of adults mostly, and readings drawn to the middle."""
    rng = np.random.default_rng(seed)
    true = np.floor(
        np.clip(np.where(rng.random(n) < 0.6, rng.normal(30, 6, n), rng.uniform(0, 90, n)), 0, 90)
    )
    return true, np.maximum(6 + 0.8 * true + rng.normal(0, 2 + true / 12, n), 0)


def covered(ranges, true):
    return (ranges[:, 0] <= true) & (true <= ranges[:, 1])


def test_ranges_keep_their_promise_for_people_of_every_age_and_are_hardly_wider():
    true, years = shrunk_readings(12_000, 17)
    folds, subjects = np.arange(12_000) % 5, people(12_000)
    ranges = cross_fitted_ranges(years, true, folds, subjects, alpha=0.1)
    assert covered(ranges, true).mean() == pytest.approx(0.9, abs=0.012)
    # A range around the reading that is as wide everywhere covers as many, and not those of every age.
    half = np.quantile(np.abs(years - true), 0.9)
    around = np.stack([years - half, years + half], axis=1)
    bands = [true // 10 == decade for decade in range(9)]
    assert min(covered(ranges, true)[band].mean() for band in bands) > 0.86
    assert min(covered(around, true)[band].mean() for band in bands) < 0.5
    assert np.ptp(ranges, axis=1).mean() < 1.1 * np.ptp(around, axis=1).mean()


def test_persons_count_alike_in_ranges_however_many_photographs_they_have():
    true, years = shrunk_readings(3_000, 18)
    # One person, of whom there are as many photographs as of all others, is read as no other is.
    subjects = np.concatenate([people(3_000), np.repeat("many", 3_000)])
    both = np.concatenate([years, np.full(3_000, 80.0)]), np.concatenate([true, np.full(3_000, 25.0)])
    alone = fit_year_ranges(years, true, people(3_000), alpha=0.1).of(years)
    assert np.abs(fit_year_ranges(*both, subjects, alpha=0.1).of(years) - alone).mean() < 0.5


def test_the_years_that_were_read_are_always_among_the_answers():
    true, years = shrunk_readings(500, 19)
    read = np.array([0.0, 0.4, 55.5, 89.9, 130.0])
    ranges = fit_year_ranges(years, true, people(500), alpha=0.1).of(read)
    assert (ranges[:, 0] <= read).all()
    assert (np.floor(read) <= ranges[:, 1]).all()


def test_ranges_without_an_error_are_points_and_do_not_divide_by_nothing():
    years = np.repeat([3.0, 40.0], 60)
    fitted = fit_year_ranges(years, years, people(120), alpha=0.1)
    assert fitted.of(years).tolist() == np.stack([years, years], axis=1).tolist()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8, 0.9, 1.0])
def test_a_share_below_the_promise_has_the_p_value_of_the_exact_binomial_test(share):
    n = 200
    answers = np.ones((n, 2), bool)
    answers[: round(n * (1 - share)), 0] = False
    found = coverage_by(np.full(n, "x"), answers, np.zeros(n, int), people(n), missed=0.1)[0]
    assert found.p_value == pytest.approx(binomtest(round(n * share), n, 0.9, alternative="less").pvalue)


# ---------------------------------------------------------------- do they


def test_coverage_counts_persons_and_says_nothing_of_few():
    # Forty persons of whom a quarter are missed; one of those missed has a hundred faces.
    subjects = np.concatenate([people(40), np.repeat("s00000", 99), np.repeat("few", 50)])
    y = np.zeros(len(subjects), int)
    labels = np.where(subjects == "few", "few", "many")
    sets = np.ones((len(subjects), 2), bool)
    sets[np.isin(subjects, people(10)), 0] = False
    few, many = coverage_by(labels, sets, y, subjects)
    assert (few.label, few.n_faces, few.n_subjects) == ("few", 50, 1)
    assert few.value is few.between is few.size is None
    assert (many.n_faces, many.n_subjects, many.value, many.size) == (139, 40, 0.75, 1.75)
    thirty_of_forty = binomtest(30, 40).proportion_ci()
    assert (many.between.low, many.between.high) == pytest.approx((thirty_of_forty.low, thirty_of_forty.high))


def test_the_fewest_persons_with_a_number_are_thirty():
    subjects, y = people(FEWEST), np.full(FEWEST, 30.0)
    ranges = np.tile([20.0, 40.0], (FEWEST, 1))
    found = coverage_by(np.full(FEWEST, "x"), ranges, y, subjects)[0]
    assert (found.value, found.size, found.between.high) == (1.0, 20.0, 1.0)
    assert found.between.low == pytest.approx(0.025 ** (1 / FEWEST))  # covered so far is not covered always
    nobody = coverage_by(np.full(FEWEST, "x"), ranges, y + 11, subjects)[0]
    assert (nobody.value, nobody.between.low) == (0.0, 0.0)
    assert coverage_by(np.full(29, "x"), ranges[1:], y[1:], subjects[1:])[0].value is None


def test_the_order_of_faces_decides_nothing():
    rng = np.random.default_rng(18)
    probabilities, y = calibrated(300, rng)
    subjects = rng.choice(people(100), 300)
    folds = np.unique(subjects, return_inverse=True)[1] % 3
    other = rng.permutation(300)
    wrong, sure = probabilities.argmax(axis=1) != y, probabilities.max(axis=1)
    one = cross_fitted(probabilities, y, folds, subjects)[0][other]
    assert np.allclose(cross_fitted(probabilities[other], y[other], folds[other], subjects[other])[0], one)
    first, second = (
        expected_calibration_error(probabilities[rows], y[rows], subjects[rows], seed=3)
        for rows in (np.arange(300), other)
    )
    assert (first.value, first.low) == pytest.approx((second.value, second.low))
    assert abstention(sure[other], wrong[other], subjects[other]).threshold_for(0.6) == abstention(
        sure, wrong, subjects
    ).threshold_for(0.6)
    assert conformal_threshold(sure[other], 0.1, subjects[other]) == conformal_threshold(sure, 0.1, subjects)


# ---------------------------------------------------------------- what a model keeps


def test_what_a_model_keeps_is_found_on_enough_persons_or_not_at_all():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    proba = np.full((200, 2), 0.25)
    proba[np.arange(200), y] = 0.75
    known = calibrate_classes(proba, y, np.arange(200), missed=0.1, ordered=False)
    assert known.temperature < 1  # it is always right, and only 75 % sure
    assert known.abstention.threshold_for(0.1) == 0.75
    assert known.sets.of(proba).sum() == 200
    assert calibrate_classes(proba, y, np.arange(200) % 29, missed=0.1, ordered=False) is None
    years = rng.uniform(0, 90, 200)
    ranges = calibrate_years(years, years + 3, np.arange(200), missed=0.1).ranges
    # Everybody is three years older than is read.
    assert ranges.of(np.array([40.0]))[0].tolist() == pytest.approx([40, 44], abs=1.0)
    assert calibrate_years(years, years, np.arange(200) % 29, missed=0.1) is None


def test_what_a_model_keeps_survives_json():
    import json

    step = Step(0.9, 0.5, 0.01, 0.02, 100.0)
    for known in (
        Calibration(
            missed=0.1,
            temperature=1.25,
            abstention=Abstention((step,)),
            sets=ClassSets((0.5, float("inf")), ordered=True),
        ),
        Calibration(missed=0.2, ranges=YearRanges(18, (17.5, float("-inf")), (30.0, float("inf")))),
    ):
        text = json.dumps(known.to_json(), allow_nan=False)
        assert Calibration.from_json(json.loads(text)) == known
