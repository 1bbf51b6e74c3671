"""What the tests of the front door share."""

import numpy as np
import pytest

from featurekit.networks.backbones import BACKBONES, Backbone


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
