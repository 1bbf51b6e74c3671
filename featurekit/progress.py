"""Report the progress of long computations, and measure the time that their parts take.

A function that takes long has an argument of the type Progress, a callback that it calls again and again. The
caller of the function decides how progress is shown, e.g. on a terminal or in a notebook.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

# Is called with the number done, in which part of one counts as a fraction, and the total.
Progress = Callable[[float, int], None]


class Clock:
    """Adds up the seconds that threads, or worker processes, spend in the parts of their work.

    Attributes:
        seconds: name of a part of the work → seconds spent in it.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._adding = threading.Lock()

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Add the time spent inside the block to a part."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add({part: time.perf_counter() - started})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add seconds to parts."""
        with self._adding:
            for part, spent in seconds.items():
                self.seconds[part] = self.seconds.get(part, 0.0) + spent


@dataclass(frozen=True)
class StepTimes:
    """How long the steps of reading images took.

    Attributes:
        n_read: number of images that were read.
        seconds: wall-clock time in seconds.
        threads: number of threads or helper processes.
        parts: step → seconds, added up over the threads.
    """

    n_read: int
    seconds: float
    threads: int
    parts: Mapping[str, float]


@dataclass(frozen=True)
class Standing:
    """Progress of a computation at one moment.

    Attributes:
        done: number of items done; an item that is partly done counts as a fraction.
        total: number of all items.
        speed: items per second; 0 if not known yet.
        unit: name of the items in the plural, e.g. "faces".
        doing: description of the current step; "" if not known.
    """

    done: float
    total: int
    speed: float
    unit: str
    doing: str = ""

    @property
    def seconds_left(self) -> float:
        """Estimated seconds until all items are done; NaN if not known yet."""
        return (self.total - self.done) / max(self.speed, 1e-9) if self.speed else math.nan

    @property
    def left(self) -> str:
        """The time left as text; "" if not known yet."""
        return f"{timedelta(seconds=round(self.seconds_left))} left" if self.speed else ""

    @property
    def rate(self) -> str:
        """The speed as text; "" if not known yet."""
        if not self.speed:
            return ""
        return f"{1 / self.speed:,.0f} s each" if self.speed < 0.1 else f"{self.speed:,.1f} {self.unit}/s"


class Pace:
    """A progress callback that estimates the rate and the time left, and calls a function to show them.

    Args:
        show: function that is called with a Standing for every new count.
        unit: name of the items in the plural, e.g. "faces".
        clock: function that returns the time in seconds; None for time.monotonic.

    >>> seconds = iter([0.0, 10.0])
    >>> shown = []
    >>> pace = Pace(shown.append, "faces", clock=lambda: next(seconds))
    >>> pace(0, 40)
    >>> pace(20, 40)
    >>> shown[-1].rate, shown[-1].seconds_left
    ('2.0 faces/s', 10.0)
    """

    def __init__(
        self, show: Callable[[Standing], None], unit: str, clock: Callable[[], float] | None = None
    ) -> None:
        self._show, self._unit, self._now = show, unit, clock or time.monotonic
        self._started, self._last = 0.0, 0.0
        # Recent times and counts, about a second apart.
        self._told: deque[tuple[float, float]] = deque()
        self._doing = ""

    def __call__(self, done: float, total: int) -> None:
        """Report the number done and the total."""
        now = self._now()
        # If fewer are done than before, a new stage has begun.
        if not self._told or done < self._last:
            self._started, self._told = now, deque([(now, done if done < 1 else 0.0)])
        # The clock starts anew at the first item, because loading networks says nothing about the rate.
        elif self._last == 0 and 0 < done <= 1:
            self._started, self._told = now, deque([(now, done)])
        elif now - self._told[-1][0] >= 1:
            self._told.append((now, done))
        self._last = done
        # Only the later half of the time counts: fifteen baselines take a second, one network an hour.
        while len(self._told) > 1 and now - self._told[1][0] >= (now - self._started) / 2:
            self._told.popleft()
        since, before = self._told[0]
        speed = (done - before) / max(now - since, 0.1)
        self._show(Standing(done, total, speed, self._unit, self._doing))

    def tell(self, text: str) -> None:
        """Set the description of the current step, which is shown with the next count."""
        self._doing = text
