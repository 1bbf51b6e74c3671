"""A model that declines to answer keeps the risk that was asked for."""

import numpy as np
import pytest
from scipy.stats import beta, norm

from featurekit.uncertainty.abstention import abstention, risks_at
from tests.uncertainty.made_up import people


def test_the_risks_are_what_one_works_out_by_hand():
    confidence, wrong = np.array([0.2, 0.9, 0.5, 0.7]), np.array([True, False, False, True])
    risks = risks_at(confidence, wrong, (0.0, 0.25, 0.5, 0.51, 0.75, 1.0))
    assert risks == pytest.approx((0, 0, 1 / 2, 1 / 3, 1 / 3, 1 / 2))


def test_faces_of_the_same_confidence_are_answered_together_in_any_order():
    confidence = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    wrong = np.array([False, True, False, False, True])
    shares = (0.2, 0.4, 0.8, 1.0)
    # One of the three faces in the middle cannot be answered alone.
    assert risks_at(confidence, wrong, shares) == (0.0, 0.25, 0.25, 0.4)
    for order in ([4, 3, 2, 1, 0], [2, 1, 3, 0, 4], [3, 2, 1, 4, 0]):
        assert risks_at(confidence[order], wrong[order], shares) == (0.0, 0.25, 0.25, 0.4)


def test_a_constant_confidence_has_the_same_risk_at_every_coverage():
    wrong = np.arange(50) % 5 == 0
    assert risks_at(np.full(50, 0.7), wrong, (0.02, 0.5, 1.0)) == (0.2, 0.2, 0.2)
    assert risks_at(1.0 - wrong, wrong, (0.8, 1.0)) == (0.0, 0.2)


@pytest.mark.parametrize("wrong", [True, False])
def test_the_risk_of_one_face_is_that_of_its_answer(wrong):
    assert risks_at(np.array([1.0]), np.array([wrong]), (0.0, 0.8, 1.0)) == (wrong,) * 3


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
