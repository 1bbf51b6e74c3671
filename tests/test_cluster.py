"""Pieces of work on a cluster: whatever is lost is done again, and what cannot be done is said.

Ray itself is replaced by a double that runs everything in this process, so that a test can say which worker
dies when. tests/embeddings/test_ray.py has the real one.
"""

import sys
from collections import deque
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import pandas as pd
import pytest

from featurekit.cluster import Cluster, connected
from featurekit.embeddings.executors.ray import RayExecutor
from featurekit.errors import EngineError, WorkspaceError
from featurekit.faces.photographs import Photograph
from featurekit.inference import parts as library
from featurekit.inference.parts import How, Part


class DiedError(Exception):
    """What the double raises for a worker that has died."""


class TaskError(Exception):
    """What the double raises for an error in a worker, as Ray does: with the error as its cause."""

    def __init__(self, cause):
        super().__init__(str(cause))
        self.cause = cause


class Ray:
    """A double of Ray: calls are made when somebody waits for them, the oldest first.

    Args:
        dies: called with the message of each piece of work; whether the worker dies of it.
        places: number of workers that have a place.
        dies_of_opening: whether workers die while they get ready.
    """

    def __init__(self, dies=lambda message: False, places=1000, dies_of_opening=False):
        self.dies, self.places, self.dies_of_opening = dies, places, dies_of_opening
        self.started, self.killed, self.given = 0, 0, []
        self.exceptions = SimpleNamespace(
            RayActorError=DiedError,
            WorkerCrashedError=DiedError,
            OutOfMemoryError=DiedError,
            NodeDiedError=DiedError,
            RayTaskError=TaskError,
        )
        self._calls = deque()

    def cluster_resources(self):
        return {"CPU": 2.0}

    def remote(self, kind):
        return SimpleNamespace(
            options=lambda **wanted: SimpleNamespace(remote=lambda *told: self._made(kind, told))
        )

    def _made(self, kind, told):
        worker = kind(*told)
        self.started += 1
        has_place = self.started <= self.places

        def call(function, *told):
            reference = object()
            if has_place:
                self._calls.append((reference, function, told))
            return reference

        methods = {
            name: SimpleNamespace(remote=partial(call, getattr(worker, name))) for name in ("open", "work")
        }
        return SimpleNamespace(**methods)

    def wait(self, references, timeout):
        known = [one for one in self._calls if one[0] in references]
        return ([known[0][0]], []) if known else ([], references)

    def get(self, reference):
        place = next(number for number, one in enumerate(self._calls) if one[0] is reference)
        _, function, told = self._calls[place]
        del self._calls[place]
        if function.__name__ == "open" and self.dies_of_opening:
            raise DiedError
        if function.__name__ == "work":
            self.given.append(told[0])
            if self.dies(told[0]):
                raise DiedError
        try:
            return function(*told)
        except Exception as error:
            raise TaskError(error) from error

    def kill(self, worker):
        self.killed += 1


def open_worker(job):
    """A worker adds up the numbers of a piece, and refuses to be opened with the job "no"."""
    if job == "no":
        raise WorkspaceError("There is no such folder.")
    if job == "a bug":
        raise KeyError("a bug")
    return lambda message: sum(message)


def all_of(ray, pieces, *, job=None, n_workers=2, **more):
    """Return the answer to each piece of work; (1, 2) is a piece of two numbers."""
    done = Cluster(ray).map(
        open_worker,
        job,
        pieces,
        n_workers=n_workers,
        message=lambda piece, again: list(piece),
        **{"smaller": lambda piece: [(number,) for number in piece], **more},
    )
    return {one.piece: one.answer for one in done}


PIECES = [(1, 2), (3, 4), (5, 6), (7, 8)]
ANSWERS = {piece: sum(piece) for piece in PIECES}
NAMES = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def test_every_piece_is_done_once_and_every_worker_is_ended():
    ray = Ray()
    assert all_of(ray, PIECES) == ANSWERS
    assert sorted(ray.given) == [list(piece) for piece in PIECES]
    assert (ray.started, ray.killed) == (2, 2)


def test_no_more_workers_are_started_than_there_are_pieces():
    ray = Ray()
    assert all_of(ray, PIECES[:1], n_workers=50) == {(1, 2): 3}
    assert ray.started == 1


def test_the_piece_of_a_worker_that_died_is_done_again_by_another_one():
    deaths = iter([True])
    ray = Ray(dies=lambda message: message == [3, 4] and next(deaths, False))
    assert all_of(ray, PIECES) == ANSWERS
    assert ray.given.count([3, 4]) == 2
    assert [ray.given.count(list(piece)) for piece in PIECES if piece != (3, 4)] == [1, 1, 1]


def test_workers_that_have_no_place_yet_do_not_stop_the_others():
    assert all_of(Ray(places=1), PIECES) == ANSWERS


def test_what_ends_every_worker_is_found_and_given_up_and_the_rest_is_done():
    ray = Ray(dies=lambda message: 3 in message)
    assert all_of(ray, PIECES) == {(1, 2): 3, (5, 6): 11, (7, 8): 15, (4,): 4, (3,): None}


def test_a_piece_without_parts_is_tried_again_when_the_others_are_done_and_then_given_up():
    ray = Ray(dies=lambda message: 3 in message)
    found = all_of(ray, PIECES, n_workers=1, smaller=lambda piece: [piece], tries=12)
    assert found == {**ANSWERS, (3, 4): None}
    assert ray.given == [[1, 2], *[[3, 4]] * 3, [5, 6], [7, 8], *[[3, 4]] * 9]


def test_a_part_of_a_table_survives_ten_workers_that_are_killed(tmp_path, monkeypatch):
    def write(job):
        def work(message):
            pd.DataFrame({"photograph": message["names"]}).to_parquet(message["path"])
            return {"path": message["path"]}

        return work

    deaths = iter(range(10))
    ray = Ray(dies=lambda message: message["names"] == ["c.jpg"] and next(deaths, None) is not None)
    monkeypatch.setattr(library, "connected", lambda address: nullcontext(Cluster(ray)))
    monkeypatch.setattr(library, "open_worker", write)
    parts = [Part(tmp_path / f"{name}.parquet", (Photograph(name, tmp_path / name),)) for name in NAMES]
    read = []
    assert library._compute(parts, How(), RayExecutor(), False, read.append) == 10
    assert read == [1, 2, 3, 4]
    assert all(part.path.is_file() for part in parts)


def test_a_worker_is_told_whether_another_one_has_died_of_its_piece():
    told = []
    deaths = iter([True])
    ray = Ray(dies=lambda message: message == [5] and next(deaths, False))
    list(
        Cluster(ray).map(
            open_worker,
            None,
            [(5,), (6,)],
            n_workers=1,
            message=lambda piece, again: told.append((piece, again)) or list(piece),
            smaller=lambda piece: [piece],
        )
    )
    assert told == [((5,), False), ((5,), True), ((6,), False)]


@pytest.mark.parametrize(
    ("dies", "n"), [(lambda message: True, 41), (None, 13)], ids=["of work", "of opening"]
)
def test_workers_that_die_one_after_the_other_are_an_error_that_says_what_to_look_at(dies, n):
    with pytest.raises(EngineError, match=rf"{n} workers ended one after the other .* (--)?workers"):
        all_of(
            Ray(dies or (lambda message: False), dies_of_opening=dies is None),
            [(number,) for number in range(100)],
        )


def test_a_cluster_without_a_place_is_an_error_that_says_what_it_has(monkeypatch):
    with pytest.raises(EngineError, match=r"No worker with 1 CPU became ready .* have 2 CPU, 0 GPU"):
        all_of(Ray(places=0), PIECES)


def test_the_error_of_a_worker_is_raised_here_and_every_worker_is_ended():
    ray = Ray()
    with pytest.raises(WorkspaceError, match=r"^There is no such folder\.$"):
        all_of(ray, PIECES, job="no")
    assert ray.killed == ray.started == 2


def test_a_bug_in_a_worker_keeps_the_traceback_of_the_worker():
    with pytest.raises(TaskError, match="a bug"):
        all_of(Ray(), PIECES, job="a bug")


@pytest.mark.parametrize("address", ["local", "10.0.0.5:6379"])
def test_a_program_that_is_connected_already_is_told_that_an_address_has_no_effect(monkeypatch, address):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: True))
    with pytest.raises(EngineError, match=r"address.* has no effect, because this program is connected"):
        connected(address).__enter__()
    with connected("auto") as found:
        assert isinstance(found, Cluster)


def test_without_ray_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineError, match=r"pip install 'featurekit\[ray\]'"), connected("auto"):
        pass
