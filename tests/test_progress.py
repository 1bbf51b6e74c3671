"""How far something is: rates and times left that can be relied upon."""

import math

import pytest

from featurekit.progress import Pace


def test_the_time_left_goes_by_what_takes_long():
    """Fifteen floors are fitted in a second, and then each network takes minutes."""
    clock, shown = [0.0], []
    progress = Pace(lambda at: shown.append((at.rate, at.seconds_left, at.left)), "fits", lambda: clock[0])
    for done in range(1, 16):
        progress(done, 60)
    for tenth in range(1, 41):
        clock[0] += 10
        progress(15 + tenth / 10, 60)
    rate, left, in_words = shown[-1]
    assert rate == "100 s each"
    assert left == pytest.approx(41 * 100, rel=0.05)
    assert in_words.startswith("1:0")
    assert in_words.endswith(" left")
    clock[0] += 10
    progress(1, 60)  # a new stage, which has taken no time yet
    assert shown[-1][1] <= 59 * 10


def test_nothing_is_said_of_a_speed_that_nobody_knows_yet():
    shown = []
    progress = Pace(shown.append, "faces", clock=lambda: 0.0)
    progress.tell("loading networks")
    progress(0, 10)
    [standing] = shown
    assert standing.rate == standing.left == ""
    assert math.isnan(standing.seconds_left)
    assert standing.doing == "loading networks"


def test_the_time_that_networks_take_to_load_is_not_part_of_the_rate():
    """The count stands there from the first second, and the clock starts anew at the first image."""
    clock, shown = [0.0], []
    progress = Pace(shown.append, "images", lambda: clock[0])
    progress(0, 1000)
    assert (shown[-1].done, shown[-1].total, shown[-1].rate) == (0, 1000, "")
    clock[0] = 30.0  # the networks are loaded
    progress(1, 1000)
    assert shown[-1].rate == ""
    clock[0] = 31.0
    progress(11, 1000)
    assert shown[-1].rate == "10.0 images/s"
