"""How far something is, and what its parts take: one protocol for every stage.

Whoever works calls what it is given; whoever shows it, a terminal or a notebook, is what it is given.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

# Is told how many of how many are done; a part of one counts as a fraction.
Progress = Callable[[float, int], None]


class Clock:
    """Adds up the seconds that threads, or helpers, spend in the parts of their work.

    Attributes:
        seconds: part → seconds.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._adding = threading.Lock()

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Count the time inside for a part."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add({part: time.perf_counter() - started})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Count seconds by part."""
        with self._adding:
            for part, spent in seconds.items():
                self.seconds[part] = self.seconds.get(part, 0.0) + spent


@dataclass(frozen=True)
class Standing:
    """How far something is, and how fast.

    Attributes:
        done: how many are done; a part of one counts as a fraction.
        total: how many there are.
        speed: how many a second; 0 where that is not known yet.
        unit: what is counted, in the plural.
        doing: what is being done just now; "" where nobody has said it.
    """

    done: float
    total: int
    speed: float
    unit: str
    doing: str = ""

    @property
    def seconds_left(self) -> float:
        """Seconds until all are done; NaN where that is not known yet."""
        return (self.total - self.done) / max(self.speed, 1e-9) if self.speed else math.nan

    @property
    def left(self) -> str:
        """The time left in words; "" where it is not known yet."""
        return f"{timedelta(seconds=round(self.seconds_left))} left" if self.speed else ""

    @property
    def rate(self) -> str:
        """The speed in words; "" where it is not known yet."""
        if not self.speed:
            return ""
        return f"{1 / self.speed:,.0f} s each" if self.speed < 0.1 else f"{self.speed:,.1f} {self.unit}/s"


class Pace:
    """Turns counts into a rate and the time left: a Progress that tells whoever shows it.

    Args:
        show: is given a Standing at every count.
        unit: what is counted, in the plural.
        clock: gives seconds since any moment; None for the computer's.

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
        # Time and count of what was told lately, about a second apart.
        self._told: deque[tuple[float, float]] = deque()
        self._doing = ""

    def __call__(self, done: float, total: int) -> None:
        """Say that so many of so many are done."""
        now = self._now()
        # Counted from the first piece: loading networks is no rate. Fewer done than before: a new stage.
        if not self._told or done < self._last:
            self._started, self._told = now, deque([(now, done if done < 1 else 0.0)])
        elif now - self._told[-1][0] >= 1:
            self._told.append((now, done))
        self._last = done
        # The later half tells what is to come: fifteen floors are fitted in a second, a network in an hour.
        while len(self._told) > 1 and now - self._told[1][0] >= (now - self._started) / 2:
            self._told.popleft()
        since, before = self._told[0]
        speed = (done - before) / max(now - since, 0.1)
        self._show(Standing(done, total, speed, self._unit, self._doing))

    def tell(self, text: str) -> None:
        """Say what is being done just now; shown with the next count."""
        self._doing = text
