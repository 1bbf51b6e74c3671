"""What the tests of embeddings share."""

from dataclasses import asdict

import numpy as np
import pytest

from featurekit.cache.store import Store
from featurekit.networks.backbones import BACKBONES, Backbone


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


@pytest.fixture
def corner_color(monkeypatch):
    """A second backbone: the colour of the upper left corner, at another size of crop."""
    member = Backbone(
        name="corner_color",
        about="a test's own",
        layers={"corner": 3},
        input_size=32,
        template="dlib",
        compute=lambda crops: crops[:, 0, 0].astype(np.float32),
    )
    BACKBONES.names()
    monkeypatch.setitem(BACKBONES._members, member.name, member)
    return member.name


@pytest.fixture
def job(manifest, settings, recipes):
    """What a helper is told to work with."""
    return {
        "root": str(manifest.root),
        "settings": asdict(settings),
        "recipes": [asdict(recipe) for recipe in recipes.values()],
        "kept": [],
    }
