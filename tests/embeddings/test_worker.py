"""What looks at one picture: the same here and on the other side of a pipe."""

import numpy as np

from featurekit.embeddings.helper import Helper
from featurekit.embeddings.open_networks import OpenBackbone
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


def test_no_images_at_all_survive_the_pipe(manifest, job):
    helper = Helper("featurekit.embeddings.pool:look_for_another", {**job, "recipes": [], "kept": []})
    helper.ready()
    looked, _ = unpacked(helper.ask([], seconds=60))
    assert looked == []
    (one,), _ = unpacked(helper.ask([task.to_json() for task in tasks_of(manifest, [0])], seconds=60))
    assert one.row == 0
    helper.close()


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


def mean_of(name, order):
    """Return a backbone that is ready to run, whose vector is the mean color; it notes that it was run."""

    def session(crops):
        order.append(name)
        if crops.mean() == 0:
            raise ValueError("black")
        return [crops.mean(axis=(1, 2), dtype=np.float32)]

    return OpenBackbone(name, ("mean",), ("dlib", 32), session, False)


def test_each_network_runs_on_several_images_in_turn_and_each_image_gets_its_own_vectors(manifest, settings):
    order = []
    networks = [mean_of("one", order), mean_of("other", order)]
    looker = Looker(manifest.root, settings, open_finder(settings), networks, [])
    tasks = tasks_of(manifest, [0, 5])
    several = looker.several(tasks)
    assert order == ["one", "one", "other", "other"]
    for one, task in zip(several, tasks, strict=True):
        assert one.row == task.row
        assert not one.faces[0].crops
        (alone,) = looker(task).faces
        assert one.faces[0].vectors.keys() == {"one:mean", "other:mean"}
        for feature, vector in one.faces[0].vectors.items():
            np.testing.assert_array_equal(vector, alone.vectors[feature])


def test_an_image_that_a_network_fails_on_costs_the_others_nothing(manifest, settings):
    order = []
    black = Task(1, "", "", image=np.zeros((40, 40, 3), np.uint8))
    looker = Looker(
        manifest.root, settings, open_finder(settings), [mean_of("one", order)], [], is_careful=True
    )
    failed, fine = looker.several([black, *tasks_of(manifest, [5])])
    assert (failed.row, failed.faces[0].face.status, failed.is_final) == (1, "failed", False)
    assert "ValueError: black" in failed.why
    assert fine.faces[0].vectors.keys() == {"one:mean"}
