"""What the tests of embeddings share."""

from dataclasses import asdict

import pytest

from featurekit.cache.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


@pytest.fixture
def job(manifest, settings, recipes):
    """What a helper is told to work with."""
    return {
        "root": str(manifest.root),
        "settings": asdict(settings),
        "recipes": [asdict(recipe) for recipe in recipes.values()],
        "kept": [],
        "is_careful": False,
    }
