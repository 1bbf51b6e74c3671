"""Whether the tests of a comparison keep what they promise, on Adience's real subjects and made-up models.

Every simulation of an error draws 1,000 data sets or more. Each has Adience's 2,283 subjects with their
19,359 faces, and models whose errors are correlated as those of real models are: within a subject, since some
people are hard to read for everybody and some for one model; and between models, since many faces are read
alike by all.
"""

from itertools import combinations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from featurekit.uncertainty.paired_tests import non_inferior, sign_flip

pytestmark = [pytest.mark.slow, pytest.mark.real_data]

N_SETS = 1_000
DISPUTED, OF_DISPUTED = (
    0.5,
    0.7,
)  # share of the faces that are not read rightly by all models; and accuracy on them
ACCURACY = 1 - DISPUTED * (1 - OF_DISPUTED)
ALPHA = 0.05


@pytest.fixture(scope="module")
def counts(adience_subjects):
    """How many faces each subject of Adience has: from 1 to 416."""
    return np.unique(adience_subjects, return_counts=True)[1]


@pytest.fixture(autouse=True)
def one_thread():
    """Tests beside this one use the other cores."""
    with threadpool_limits(1):
        yield


def simulated(counts, losses, rng, n_sets, *, share=DISPUTED):
    """Draw how many faces of each subject each model reads wrongly, shape (n_sets, n_subjects, n_models).

    Args:
        counts: faces of each subject.
        losses: by how much each model's accuracy is below that of the best one, shape (n_models,).
        rng: what chance comes from.
        n_sets: how many data sets are drawn.
        share: of the faces that are disputed.
    """
    for_all, for_one = 0.6, 0.3  # standard deviations between subjects, the noise of a face being 1
    shape = (n_sets, len(counts))
    disputed = rng.binomial(counts, share, shape)[..., None]
    accuracy = OF_DISPUTED - np.asarray(losses) / share  # on the disputed faces
    easy = for_all * rng.standard_normal((*shape, 1), np.float32)
    easy = easy + for_one * rng.standard_normal((*shape, len(accuracy)), np.float32)
    p = ndtr(easy + (ndtri(accuracy) * np.sqrt(1 + for_all**2 + for_one**2)).astype(np.float32))
    return (disputed - rng.binomial(disputed, p)).astype(float)


def batches(counts, losses, seed, size, *, n_sets=N_SETS, **how):
    """Yield data sets in batches of one table each, shape (n_subjects, size * n_models), and seeds."""
    rng = np.random.default_rng(seed)
    for _ in range(n_sets // size):
        drawn = simulated(counts, losses, rng, size, **how)
        yield drawn.transpose(1, 0, 2).reshape(len(counts), -1), int(rng.integers(2**31))


def holm(p_values):
    """Return p-values of each row that hold for the whole row (Holm 1979)."""
    order = np.argsort(p_values, axis=1)
    steps = np.take_along_axis(p_values, order, axis=1) * np.arange(p_values.shape[1], 0, -1)
    adjusted = np.empty_like(p_values)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(steps, axis=1), axis=1)
    return adjusted


def of_endless_flips(of_each, pairs):
    """Return the p-values of single sign-flip tests in the limit of infinitely many flips, shape (n_pairs,).

    A sum of differences d with random signs has variance Σ d² and excess kurtosis -2 Σ d⁴ / (Σ d²)². With
    both, the normal distribution gives its tail to a few per cent (Cornish & Fisher); that was compared with
    many flips below, and down to p = 1e-8 with importance sampling.
    """
    i, j = np.array(pairs).T
    sums, powers = of_each.sum(axis=0), {1: of_each, 2: of_each**2, 3: of_each**3}
    products = {(one, other): powers[one].T @ powers[other] for one, other in ((1, 1), (2, 2), (1, 3))}
    second, fourth = np.diag(products[1, 1]), np.diag(products[2, 2])
    squares = second[i] + second[j] - 2 * products[1, 1][i, j]
    mixed = 6 * products[2, 2][i, j] - 4 * (products[1, 3][i, j] + products[1, 3][j, i])
    t = np.abs(sums[i] - sums[j]) / np.sqrt(squares)
    return 2 * norm.sf(t + (fourth[i] + fourth[j] + mixed) / squares**2 / 12 * (t**3 - 3 * t))


EFFECTS = (0.01, 0.02, 0.05)


@pytest.fixture(
    scope="module",
    # With an effect fewer data sets have to do, and for 60 models one effect: they take as long as all else.
    params=[(2, 100, 999, EFFECTS, N_SETS), (12, 20, 999, EFFECTS, 400), (60, 5, 299, EFFECTS[1:2], 200)],
    ids=lambda of: f"{of[0]}",
)
def found(request, counts):
    """What the tests say of so many models.

    A test of few flips keeps its level too, and shows hardly fewer differences. A worse model is an equal one
    that reads some of its faces wrongly in addition, so that its true accuracy is lower by the effect.

    Returns:
        In which share of data sets any two equal models were called different; and of each effect, which
        share of the differences between the better and the worse half of the models was shown, by our test
        and by Holm.
    """
    n_models, size, n_flips, effects, n_with_effect = request.param
    pairs = list(combinations(range(n_models), 2))
    together = [(n_models * s + i, n_models * s + j) for s in range(size) for i, j in pairs]
    families = [s for s in range(size) for _ in pairs]
    worse = np.arange(n_models * size) % n_models >= n_models // 2
    differ = [i < n_models // 2 <= j for i, j in pairs]
    rng = np.random.default_rng(n_models)
    wrong, shown = 0.0, {effect: np.zeros(2) for effect in effects}
    with threadpool_limits(1):
        for batch, (losses, seed) in enumerate(batches(counts, np.zeros(n_models), n_models, size)):
            tested = sign_flip(losses, together, families=families, seed=seed, n_flips=n_flips)
            wrong += (tested.adjusted.reshape(size, -1).min(axis=1) <= ALPHA).sum() / N_SETS
            if batch * size >= n_with_effect:
                continue
            right = (counts[:, None] - losses[:, worse]).astype(int)
            for effect in effects:
                lower = losses.copy()
                lower[:, worse] += rng.binomial(right, effect / ACCURACY)
                tested = sign_flip(lower, together, families=families, seed=seed, n_flips=n_flips)
                ours = tested.adjusted.reshape(size, -1)
                blocks = lower.reshape(len(counts), size, n_models).transpose(1, 0, 2)
                rivals = holm(np.stack([of_endless_flips(block, pairs) for block in blocks]))
                for which, p in enumerate((ours, rivals)):
                    shown[effect][which] += (p[:, differ] <= ALPHA).mean() * size / n_with_effect
    return wrong, shown


def test_equal_models_are_called_different_in_5_percent_of_data_sets(found):
    assert 0.035 <= found[0] <= 0.065


def test_as_many_differences_are_shown_as_holm_would_show(found):
    for effect, (ours, holms) in found[1].items():
        assert ours >= holms - 0.01, effect
        assert holms > 0, effect


def test_the_limit_of_infinitely_many_flips_is_what_many_flips_approach(counts):
    losses = simulated(counts, [0.0] * 5 + [0.015] * 5, np.random.default_rng(0), 1)[0]
    pairs = list(combinations(range(10), 2))
    found = sign_flip(losses, pairs, seed=0, n_flips=100_000).p_values
    limit = of_endless_flips(losses, pairs)
    often = limit > 0.001  # by chance, a hundred flips are 30 % off at most
    assert found[often] == pytest.approx(limit[often], rel=0.3)
    assert np.abs(np.log(found[often] / limit[often])).mean() < 0.05
    assert limit.min() < 1e-4


def test_35_points_among_60_models_are_shown_at_the_limit(counts):
    losses = simulated(counts, [*np.linspace(0.0, 0.014, 59), 0.35], np.random.default_rng(0), 1)[0]
    pairs = list(combinations(range(60), 2))
    found = sign_flip(losses, pairs, seed=0)
    assert found.limit <= 0.0001
    assert {float(p) for p, (_, j) in zip(found.adjusted, pairs, strict=True) if j == 59} == {found.limit}


# ---------------------------------------------------------------- is a cheaper one good enough

MARGIN = 0.01
# With so many disputed faces, the standard error of a difference is 0.25 points.
FEW = 0.2


def recommended(counts, truth, *, seed):
    """Return how often each model is recommended: the cheapest within the margin, else the best one.

    Args:
        counts: faces of each subject.
        truth: true losses of the models, the cheapest model first.
        seed: what chance comes from.
    """
    n, chosen = len(truth), np.zeros(len(truth))
    cheaper = range(n - 1)  # than the last one, which may be the best
    for losses, flips in batches(counts, truth, seed, 50, share=FEW):
        for one in losses.reshape(len(counts), -1, n).transpose(1, 0, 2):
            best = int(one.sum(axis=0).argmin())
            found = non_inferior(one, counts.astype(float), cheaper, margin=MARGIN, seed=flips, n_flips=299)
            within = [j for j in cheaper if j < best and found.adjusted[j] <= ALPHA]
            chosen[within[0] if within else best] += 1
    return chosen / N_SETS


def test_differences_have_the_standard_error_that_the_next_tests_are_about(counts):
    losses = simulated(counts, [0.0, 0.0], np.random.default_rng(0), 400, share=FEW)
    gains = (losses[..., 0] - losses[..., 1]).sum(axis=1) / counts.sum()
    assert gains.std() == pytest.approx(0.0025, rel=0.1)


@pytest.mark.parametrize(
    "truth",
    [
        [0.0105] * 11 + [0.0],  # all cheaper ones are just outside the margin
        [0.012] * 5 + [0.0] * 7,
        [0.011, 0.0],
    ],
)
def test_a_cheaper_model_outside_the_margin_is_seldom_recommended(counts, truth):
    chosen = recommended(counts, truth, seed=len(truth))
    assert chosen[np.array(truth) > MARGIN].sum() <= 0.05


@pytest.mark.parametrize(
    "truth",
    [
        [0.0] + [0.02, 0.03, 0.05, 0.01, 0.015] * 2 + [0.0],  # one is as good as the best
        [0.03] * 6 + [0.0] * 6,  # some are
        [0.0] * 12,  # all are
    ],
)
def test_an_equally_good_cheaper_model_is_recommended(counts, truth):
    """Of the data sets in which an equally good model is cheaper than the one that scored best."""
    n, equal = len(truth), np.array(truth) == 0
    there, shown = 0, 0
    for losses, flips in batches(counts, truth, 100 + n, 50, n_sets=N_SETS // 2, share=FEW):
        for one in losses.reshape(len(counts), -1, n).transpose(1, 0, 2):
            best = int(one.sum(axis=0).argmin())
            if not equal[:best].any():
                continue  # the best one is the cheapest of the good ones: there is nothing to recommend
            there += 1
            cheaper = range(n - 1)
            found = non_inferior(one, counts.astype(float), cheaper, margin=MARGIN, seed=flips, n_flips=299)
            within = [j for j in cheaper if j < best and found.adjusted[j] <= ALPHA]
            # The best one itself is no recommendation: without a cheaper one within the margin this fails.
            shown += bool(within) and bool(equal[within[0]])
    assert there >= 150
    assert shown >= 0.8 * there, f"{shown} of {there}"
