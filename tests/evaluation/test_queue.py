"""The queue of fits: long ones first, every core in use, and nothing left running after an error."""

from threading import Barrier, Event
from time import sleep

import pytest

from featurekit.estimators import CLASSIFIERS
from featurekit.evaluation.plan_fits import _SECONDS, rough_seconds
from featurekit.evaluation.queue import Batch, Fit, run_batches


class Log:
    """Fits that note their names and threads when they start."""

    def __init__(self):
        self.started, self.threads = [], {}

    def fit(self, name, seconds=1.0, *, then=None, **facts):
        def run(threads):
            self.started.append(name)
            self.threads[name] = threads
            if then:
                then()

        return Fit(run=run, seconds=seconds, **facts)


def batch(*fits, **facts):
    return Batch(open=lambda: fits, seconds=sum(fit.seconds for fit in fits), **facts)


@pytest.fixture
def log():
    return Log()


def test_the_fit_that_takes_longest_is_first(log):
    fits = [log.fit("short", 1), log.fit("long", 5), log.fit("middle", 3)]
    run_batches([batch(*fits)], threads=1, jobs=1, memory=0)
    assert log.started == ["long", "middle", "short"]


def test_two_fits_run_at_the_same_time_also_of_different_batches(log):
    both = Barrier(2, timeout=10)  # breaks, and so raises, if one of them is alone
    fits = [log.fit(name, then=both.wait) for name in "ab"]
    run_batches([batch(fits[0]), batch(fits[1])], threads=2, jobs=2, memory=0)
    assert log.threads == {"a": 1, "b": 1}


def test_the_last_fit_gets_every_core(log):
    run_batches([batch(*map(log.fit, "abcde"))], threads=2, jobs=2, memory=0)
    assert log.threads == {"a": 1, "b": 1, "c": 1, "d": 1, "e": 2}


def test_a_fit_that_starts_alone_gets_all_cores(log):
    run_batches([batch(log.fit("alone"))], threads=6, jobs=6, memory=0)
    assert log.threads == {"alone": 6}


def test_few_fits_share_all_cores_by_how_long_they_take(log):
    both = Barrier(3, timeout=10)
    fits = [log.fit(name, seconds, then=both.wait) for name, seconds in (("long", 4), ("b", 2), ("c", 2))]
    baseline = log.fit("baseline", 1e-9)
    run_batches([batch(*fits), batch(baseline)], threads=8, jobs=8, memory=0)
    assert log.threads == {"long": 4, "b": 2, "c": 2, "baseline": 8}


def test_one_fit_at_a_time_gets_every_core(log):
    run_batches([batch(*map(log.fit, "abc"))], threads=4, jobs=1, memory=0)
    assert set(log.threads.values()) == {4}


def test_a_fit_whose_results_depend_on_its_threads_has_always_the_same_number(log):
    fits = [log.fit(name, threads=1) for name in "abc"]
    run_batches([batch(*fits)], threads=2, jobs=2, memory=0)
    assert set(log.threads.values()) == {1}


def test_fits_that_need_much_memory_run_one_by_one(log):
    running = []

    def alone():
        running.append(1)
        sleep(0.02)  # in which another one would start
        assert len(running) == 1
        running.pop()

    fits = [log.fit(name, then=alone, bytes_needed=lambda threads: 60) for name in "abc"]
    run_batches([batch(*fits)], threads=2, jobs=2, memory=100)
    assert sorted(log.started) == ["a", "b", "c"]


def test_a_fit_gets_only_the_threads_for_which_there_is_memory(log):
    alone = log.fit("alone", bytes_needed=lambda threads: 30 * threads)
    run_batches([batch(alone)], threads=8, jobs=8, memory=100)
    assert log.threads == {"alone": 2}


def test_vectors_are_loaded_when_their_first_fit_can_start(log):
    first = log.fit("first")

    def open_second():
        log.started.append("vectors")
        return [log.fit("second")]

    # There is no room for the second vectors beside the first.
    run_batches([batch(first, bytes=60), Batch(open=open_second, bytes=60)], threads=2, jobs=2, memory=100)
    assert log.started == ["first", "vectors", "second"]


def test_after_an_error_the_fits_that_run_finish_and_no_other_starts(log):
    both, has_failed, finished = Barrier(2, timeout=10), Event(), []

    def fail():
        both.wait()
        has_failed.set()
        raise ValueError("no")

    def run_on():
        both.wait()
        assert has_failed.wait(10)
        sleep(0.02)
        finished.append("runs")

    fits = [log.fit("fails", 3, then=fail), log.fit("runs", 2, then=run_on), log.fit("waits", 1)]
    with pytest.raises(ValueError, match="no"):
        run_batches([batch(*fits)], threads=2, jobs=2, memory=0)
    assert finished == ["runs"]
    assert "waits" not in log.started


def test_only_registered_models_have_a_duration_and_baselines_take_none():
    assert set(_SECONDS) <= {kind.name for kind in CLASSIFIERS}
    assert rough_seconds(CLASSIFIERS["majority"], 1000, 128, 2) < 1e-6
    svm = CLASSIFIERS["svm"]
    assert rough_seconds(svm, 2000, 128, 2) == pytest.approx(4 * rough_seconds(svm, 1000, 128, 2))
    assert rough_seconds(svm, 1000, 128, 2, tune=True) > rough_seconds(svm, 1000, 128, 2)
    cnn = CLASSIFIERS["finetuned_cnn"]
    assert rough_seconds(cnn, 1000, 49152, 2) > max(
        rough_seconds(CLASSIFIERS[name], 1000, 2048, 8) for name in _SECONDS
    )
