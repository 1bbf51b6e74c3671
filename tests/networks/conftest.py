"""A home of the test's own, and a table of weights that it fills."""

import pytest

from featurekit.networks import weights


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    monkeypatch.setenv("FEATUREKIT_HOME", str(folder))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder


@pytest.fixture
def table(monkeypatch):
    """A table of the test's own in place of the real one."""
    entries = {}
    monkeypatch.setattr(weights, "WEIGHTS", entries)

    def put(*made):
        entries.update((entry.name, entry) for entry in made)
        return entries

    return put
