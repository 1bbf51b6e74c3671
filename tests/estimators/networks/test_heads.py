"""What a network's heads say, and what they lose by it."""

from math import inf

import numpy as np
import pytest
import torch  # noqa: TID253  # the whole file is about its networks

from featurekit.data.targets import AGE, AGE_GROUP, GENDER, Target
from featurekit.estimators._networks.heads import OLDEST, Head, class_weights, head_for, heads_module

GROUPS = Head(AGE_GROUP, "ordered")
YEARS = Head(AGE, "years")


def test_a_head_is_what_its_target_wants():
    assert head_for(AGE).kind == "years"
    assert head_for(AGE_GROUP).kind == "classes"
    assert head_for(AGE_GROUP, ages="ordered").kind == "ordered"
    assert head_for(GENDER, ages="ordered").kind == "classes"
    assert [head.n_outputs for head in (head_for(GENDER), GROUPS, YEARS)] == [2, 7, OLDEST + 1]


@pytest.mark.parametrize("head", [head_for(AGE_GROUP), GROUPS, YEARS])
def test_probabilities_add_up_to_one(head):
    outputs = torch.tensor(np.random.default_rng(0).normal(0, 5, (40, head.n_outputs)))
    shares = head.probabilities(outputs).numpy()
    assert shares.shape == (40, head.n_outputs + (head.kind == "ordered"))
    assert shares.sum(axis=1) == pytest.approx(1)
    assert (shares >= 0).all()


def test_ordered_classes_rise_and_fall_around_one_of_them():
    module = heads_module(4, [GROUPS], dropout=0.0, gender_to_age=False)
    features = torch.tensor(np.random.default_rng(0).normal(0, 3, (50, 4)), dtype=torch.float32)
    outputs = module(features)["age_group"]
    assert (outputs.diff(dim=1) < 0).all()  # thresholds begin in their order
    shares = GROUPS.probabilities(outputs).detach().numpy()
    for row in shares:
        top = row.argmax()
        inner = row[1:-1]  # the outermost classes have no end
        top = inner.argmax()
        assert (np.diff(inner[: top + 1]) >= -1e-6).all()
        assert (np.diff(inner[top:]) <= 1e-6).all()
    direction = outputs.detach().numpy().mean(axis=1)
    expected = (shares * np.arange(8)).sum(axis=1)
    assert (np.diff(expected[direction.argsort()]) >= -1e-5).all()


def test_ordered_probabilities_by_hand():
    three = Head(Target("size", ("s", "m", "l"), ordered=True), "ordered")
    logits = torch.tensor([[np.log(3.0), np.log(1 / 3)]])  # above s: 3/4, above m: 1/4
    assert three.probabilities(logits).numpy() == pytest.approx(np.array([[0.25, 0.5, 0.25]]))
    crossed = three.probabilities(torch.tensor([[-2.0, 2.0]])).numpy()
    assert crossed.sum() == pytest.approx(1)
    assert (crossed >= 0).all()


def test_years_are_the_expectation_over_years():
    outputs = torch.full((2, OLDEST + 1), -inf)
    outputs[0, 30] = 0.0
    outputs[1, [20, 40]] = 0.0
    assert YEARS.answer(outputs).tolist() == pytest.approx([30, 30])


@pytest.mark.parametrize("head", [head_for(GENDER), GROUPS, YEARS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_faces_without_a_label_add_nothing_to_the_loss(head, smoothing):
    outputs = torch.tensor(np.random.default_rng(0).normal(size=(6, head.n_outputs)), requires_grad=True)
    missing = np.nan if head.kind == "years" else -1
    labels = torch.tensor([1, missing, 0, missing, 1, 1] if head.kind == "years" else [1, -1, 0, -1, 1, 1])
    known = torch.tensor([0, 2, 4, 5])
    loss = head.loss(outputs, labels, smoothing=smoothing)
    alone = head.loss(outputs[known], labels[known], smoothing=smoothing)
    assert float(loss.detach()) == pytest.approx(float(alone.detach()))
    loss.backward()
    assert (outputs.grad[[1, 3]] == 0).all()
    assert (outputs.grad[known] != 0).any(dim=1).all()
    nothing = head.loss(outputs, torch.full_like(labels, missing))
    assert float(nothing.detach()) == 0
    nothing.backward()  # a batch without any label is learned from, and teaches nothing


@pytest.mark.parametrize("head", [head_for(GENDER), head_for(AGE_GROUP), GROUPS, YEARS])
def test_the_right_answer_has_the_least_loss(head):
    right = 1 if head.target == GENDER else 4 if head.kind != "years" else 31
    losses = []
    for said in range(head.n_outputs + (head.kind == "ordered")):
        steps = torch.arange(head.n_outputs, dtype=torch.float32)
        if head.kind == "ordered":
            outputs = torch.where(steps < said, 3.0, -3.0)
        elif head.kind == "years":
            outputs = -((steps - said) ** 2) / 8
        else:
            outputs = torch.where(steps == said, 3.0, -3.0)
        label = torch.tensor([float(right) if head.kind == "years" else right])
        losses.append(float(head.loss(outputs[None], label, smoothing=0.05)))
    assert int(np.argmin(losses)) == right
    if head.kind in ("ordered", "years"):  # and the further off, the more
        assert (np.diff(losses[: right + 1]) < 0).all()
        assert (np.diff(losses[right:]) > 0).all()


def test_nobody_is_older_than_the_oldest_class():
    outputs = torch.zeros(1, OLDEST + 1)
    assert np.isfinite(float(YEARS.loss(outputs, torch.tensor([116.0]))))


def test_class_weights_make_the_classes_alike_and_are_one_on_average():
    labels = np.array([0] * 6 + [1] * 3 + [3] + [-1] * 5)
    found = class_weights(labels, 5).numpy()
    known = labels[labels >= 0]
    assert found[known].mean() == pytest.approx(1)
    assert [found[known][known == one].sum() for one in (0, 1, 3)] == pytest.approx([10 / 3] * 3)
    assert (found[[2, 4]] == 0).all()


@pytest.mark.parametrize("kind", ["classes", "ordered"])
def test_class_weights_make_a_rare_class_weigh_as_much_as_a_frequent_one(kind):
    head = Head(AGE_GROUP, kind)
    outputs = torch.zeros(10, head.n_outputs, requires_grad=True)
    labels = torch.tensor([2] * 9 + [5])
    weighed = class_weights(labels.numpy(), 8)
    head.loss(outputs, labels, weights=weighed).backward()
    slopes = outputs.grad.abs().sum(dim=1)
    assert float(slopes[:9].sum()) == pytest.approx(float(slopes[9]), rel=1e-4)


def test_the_age_heads_see_what_the_gender_head_says():
    heads = [head_for(AGE), head_for(GENDER)]
    apart = heads_module(4, heads, dropout=0.0, gender_to_age=False)
    joined = heads_module(4, heads, dropout=0.0, gender_to_age=True)
    features = torch.ones(3, 4)
    assert apart.of["age"].in_features == 4
    assert joined.of["age"].in_features == 6
    for module, expected in ((apart, False), (joined, True)):
        module.zero_grad()
        module(features)["age"].sum().backward()
        slope = module.of["gender"].weight.grad
        assert (slope is not None and bool((slope != 0).any())) == expected


def test_without_a_gender_head_there_is_nothing_to_see():
    module = heads_module(4, [head_for(AGE)], dropout=0.0, gender_to_age=True)
    assert module(torch.ones(3, 4))["age"].shape == (3, OLDEST + 1)
