"""What the tests of the report share."""

import pytest

from featurekit.evaluation.results import Run
from tests.report.made_up import html_of, make_runs


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return make_runs()


@pytest.fixture(scope="module")
def page(runs: list[Run]) -> str:
    return html_of(runs, "UTKFace, builtin networks")
