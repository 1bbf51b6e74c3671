"""featurekit list: what can be chosen."""

import pytest


@pytest.mark.parametrize("what", ["backbones", "models", "detectors", "datasets"])
def test_what_can_be_chosen_is_listed(featurekit, what):
    code, output, _ = featurekit("list", what)
    assert code == 0
    known = {"backbones": "vgg16", "models": "svm", "detectors": "centerface", "datasets": "adience"}
    assert known[what] in output
