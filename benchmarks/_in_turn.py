"""Sides that take turns in one process, within a time limit; what there is no time for is left out aloud.

Where starting a process takes longer than the work, as with Python and CUDA, this takes the place of
_side_by_side.compare(), which starts a process for each turn.
"""

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import _side_by_side as harness

# Seconds that are kept for writing the result, and for a step that has begun, such as opening a network.
RESERVE = 12.0

T = TypeVar("T")


class OutOfTimeError(BaseException):
    """The time is up; not an Exception, so that no side takes it for a failure of its own."""


class Budget:
    """The time of a run, and what was left out of it.

    Args:
        seconds: how long the run may take, from now on.
        now: function that returns the time in seconds.

    Attributes:
        left_out: one line each.
        reserved: seconds that later parts need, so that no part takes a further round at their cost.
        failed: whether attempt() has met an error.
    """

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._end = now, now() + seconds
        self.left_out: list[str] = []
        self.reserved = 0.0
        self.failed = False

    @property
    def left(self) -> float:
        """Seconds until the result has to be written."""
        return self._end - self._now() - RESERVE

    def leave_out(self, what: str) -> None:
        """Say in one line what is left out, and why."""
        self.left_out.append(what)
        print(f"Left out: {what}", flush=True)

    def allows(self, what: str, seconds: float, reserved: float = 0.0) -> bool:
        """Whether there is time for something beside what is reserved; if not, it is left out aloud."""
        if self.left > seconds + reserved:
            return True
        left = f"{self.left:.0f} s are left" if self.left > 0 else "no time is left"
        later = f", of which later parts need {reserved:.0f} s" if reserved and self.left > 0 else ""
        self.leave_out(f"{what}: it takes about {seconds:.0f} s, and {left}{later}.")
        return False

    def attempt(self, what: str, work: Callable[[], T]) -> T | None:
        """Do something; an error in it is told, and what failed is left out, so that the rest goes on."""
        try:
            return work()
        except Exception as error:
            traceback.print_exc()
            self.failed = True
            self.leave_out(f"{what}: {in_short(error)}")
            return None

    def check(self) -> None:
        """Raise OutOfTimeError if the time is up.

        Work asks this between its steps. A signal would come in the middle of a step, and networks' libraries
        crash where an error is raised in one of their calls.
        """
        if self.left <= 0:
            raise OutOfTimeError

    def watched(self, things: Iterable[T]) -> Iterator[T]:
        """Give things one by one, as long as there is time."""
        for thing in things:
            self.check()
            yield thing


def in_short(error: Exception) -> str:
    """Return an error in one line, without folders of this machine."""
    said = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return harness.without_paths(said[:300])


@dataclass(frozen=True)
class Turn:
    """One side of a comparison.

    Attributes:
        name, about: in words.
        run: does the work once and returns seconds, n, and perhaps scores, notes and details.
        is_ours: whether it is featurekit.
    """

    name: str
    about: str
    run: Callable[[], dict[str, Any]]
    is_ours: bool = False


def take_turns(title: str, turns: Sequence[Turn], rounds: int, budget: Budget) -> list[harness.Measured]:
    """Let the sides take turns while there is time; a side that fails has no further turn."""
    measured = [harness.Measured(turn.name, turn.about, turn.is_ours) for turn in turns]
    print(title, flush=True)
    spent = 0.0
    try:
        for number in range(rounds):
            if number and not budget.allows(f"round {number + 1} of {title}", spent, budget.reserved):
                break
            started = time.monotonic()
            for turn, answers in zip(turns, measured, strict=True):
                if answers.failed:
                    continue
                budget.check()
                try:
                    answers.answers.append(turn.run())
                except Exception as error:
                    traceback.print_exc()
                    answers.failed = in_short(error)
                what = answers.failed or f"{answers.seconds[-1]:.3f} s"
                print(f"  round {number + 1}, {turn.name}: {what}", flush=True)
            spent = time.monotonic() - started
    except OutOfTimeError:
        budget.leave_out(f"the rest of {title}: the time is up.")
    for answers in measured:
        if not answers.answers and not answers.failed:
            answers.skipped = "there was no time"
    return measured


def case_of(
    title: str, unit: str, measured: Sequence[harness.Measured], verdicts: Sequence[harness.Verdict]
) -> dict[str, Any]:
    """Return a case as it stands in a result, and print it."""
    content = {
        "title": title,
        "unit": unit,
        "sides": [side.to_json() for side in measured],
        "verdicts": [asdict(verdict) for verdict in verdicts],
    }
    print(harness.case_in_words(content), flush=True)
    return content
