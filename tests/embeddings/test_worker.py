"""What looks at one picture: the same here and on the other side of a pipe."""

import numpy as np

from featurekit.embeddings.helper import Helper
from featurekit.embeddings.worker import Looker, Task, unpacked
from featurekit.faces.face import Face
from featurekit.faces.find import open_finder
from tests.embeddings.made_up import tasks_of


def test_what_needs_many_faces_at_once_gets_the_crops_that_a_helper_cut(manifest, job, settings):
    kept = [("dlib", 32), ("imagenet", 48)]
    helper = Helper("featurekit.embeddings.pool:look_for_another", {**job, "recipes": [], "kept": kept})
    helper.ready()
    tasks = tasks_of(manifest, [0, 5])
    looked, seconds = unpacked(helper.ask([task.to_json() for task in tasks], seconds=60))
    helper.close()
    here = Looker(manifest.root, settings, open_finder(settings), [], kept)
    for one, task in zip(looked, tasks, strict=True):
        for kind in kept:
            np.testing.assert_array_equal(one.faces[0].crops[kind], here(task).faces[0].crops[kind])
    assert seconds["decode"] > 0


def test_known_faces_survive_the_pipe_to_the_last_bit():
    box = np.array([1 / 3, 2, 3, 4], np.float32)
    face = Face("ok", box, np.full((5, 2), np.nan, np.float32), float(np.float32(0.1)), 2, 1)
    other = Face("too_small", box, face.landmarks, 0.5, 2, 1)
    back = Task.from_json(Task(7, "ä\udcff.jpg", "00", "1 2 3 4", (face, other)).to_json())
    assert (back.row, back.path, back.box) == (7, "ä\udcff.jpg", "1 2 3 4")
    first, second = back.known
    np.testing.assert_array_equal(first.box, box)
    assert first.box.dtype == np.float32
    assert (first.confidence, first.n_found, first.attempt) == (face.confidence, 2, 1)
    assert (second.status, second.confidence) == ("too_small", 0.5)
