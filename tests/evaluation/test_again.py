"""What to type to have runs again: said where it is of use, and nowhere else."""

from types import SimpleNamespace

import pytest

from featurekit.evaluation.comparable import sentences_on
from featurekit.evaluation.replaced import saying_how_to_have_back


@pytest.mark.parametrize(
    ("parameters", "command", "said"),
    [
        ({}, "featurekit fit --model svm", "Fit it again: featurekit fit --model svm"),
        (
            {"members": ["a", "b"]},
            "featurekit ensemble a b",
            "Average its members again: featurekit ensemble",
        ),
        ({}, "", "Fit it again: featurekit fit --target gender"),
    ],
)
def test_a_run_is_made_again_by_the_command_that_made_it(parameters, command, said):
    run = SimpleNamespace(name="one", target="gender", parameters=parameters, command=command)
    other = SimpleNamespace(name="other", parameters={}, command="featurekit fit --model mlp")
    (sentence,) = sentences_on({"one": "it differs"}, [other, run], "is set apart")
    assert sentence.startswith(f"one is set apart: it differs. {said}")


def test_a_fit_that_replaces_nothing_says_nothing(tmp_path):
    said = []
    with saying_how_to_have_back(tmp_path, tmp_path / "models", said.append):
        pass
    assert said == []


def test_a_fit_that_fails_says_only_what_it_has_replaced_itself(tmp_path):
    said = []
    (tmp_path / "replaced-before").mkdir()

    def fails():
        with saying_how_to_have_back(tmp_path, tmp_path / "models", said.append):
            (tmp_path / "replaced-now").mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    [line] = said
    assert line.startswith(
        f"The runs that this fit was going to replace are in {tmp_path / 'replaced-now'}. To restore them: "
    )


def test_what_an_earlier_fit_left_behind_is_pointed_out_at_the_end(tmp_path):
    said = []
    (tmp_path / "replaced-before").mkdir()
    with saying_how_to_have_back(tmp_path, tmp_path / "models", said.append):
        pass
    [line] = said
    assert line.startswith(
        f"note: {tmp_path / 'replaced-before'} still contains the runs that an"
        " interrupted fit was going to replace"
    )
