"""What the tests of the checks share."""

import pytest

from featurekit.data.manifest import Manifest
from tests.checks.made_up import a_table, people


@pytest.fixture
def manifest(tmp_path):
    """Faces of 200 subjects without a fault."""
    return Manifest(a_table(), tmp_path)


@pytest.fixture
def few(tmp_path):
    """Pictures of 60 faces without a fault."""
    people(tmp_path, 60)
    return Manifest(a_table(60), tmp_path)
