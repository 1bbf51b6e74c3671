"""What the tests and the examples in docstrings share."""

from collections.abc import Iterator

import pytest

# A package of its own, which one test installs: what it imports, it registers.
collect_ignore = ["tests/plugin_package"]


@pytest.fixture(autouse=True)
def _members_of_a_test_end_with_it() -> Iterator[None]:
    """Take away what a test, or an example, registered as a notebook does: others look at every member."""
    yield
    from featurekit.checks.base import CHECKS
    from featurekit.data.datasets import DATASETS
    from featurekit.estimators import CLASSIFIERS
    from featurekit.faces.detectors import DETECTORS
    from featurekit.networks.backbones import BACKBONES
    from featurekit.registry import SESSION

    for registry in (BACKBONES, CLASSIFIERS, DATASETS, DETECTORS, CHECKS):
        for name, (package, _) in list(registry._origins.items()):
            if package == SESSION:
                del registry._members[name], registry._origins[name]
