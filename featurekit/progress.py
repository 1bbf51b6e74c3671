"""Progress of long work, and the time of its parts: one protocol for every stage.

A function that takes long calls the Progress that it is given. A terminal, a notebook or a script provides
that, and decides how it is shown.
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
        seconds: part → seconds.
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
class Standing:
    """How much is done, and how fast.

    Attributes:
        done: number done; part of one counts as a fraction.
        total: number in all.
        speed: number per second; 0 if not known yet.
        unit: what is counted, in the plural.
        doing: what is being done at the moment; "" if not known.
    """

    done: float
    total: int
    speed: float
    unit: str
    doing: str = ""

    @property
    def seconds_left(self) -> float:
        """Seconds until all are done; NaN if not known yet."""
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
    """A Progress that turns counts into a rate and the time left, and passes them on to be shown.

    Args:
        show: is called with a Standing at every count.
        unit: what is counted, in the plural.
        clock: returns the time in seconds; None for time.monotonic.

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
        # The clock starts at the first count, because loading networks says nothing about the rate. If fewer
        # are done than before, a new stage has begun.
        if not self._told or done < self._last:
            self._started, self._told = now, deque([(now, done if done < 1 else 0.0)])
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
        """Report what is being done at the moment; it is shown with the next count."""
        self._doing = text
