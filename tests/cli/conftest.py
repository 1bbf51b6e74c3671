"""What the tests of several commands share."""

import pytest


@pytest.fixture
def extracted(featurekit, prepared):
    code, _, errors = featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")
    assert code == 0, errors
    return prepared


@pytest.fixture
def one_line():
    """Check that a command failed with one line that has all these parts."""

    def check(result, *parts):
        code, _, errors = result
        assert code == 1
        lines = [line for line in errors.splitlines() if line.startswith("error:")]
        assert len(lines) == 1, errors
        for part in parts:
            assert part in lines[0]
        assert "Traceback" not in errors

    return check
