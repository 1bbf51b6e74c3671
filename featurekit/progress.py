"""How far something is, and what its parts take: one protocol for every stage.

Whoever works calls what it is given; whoever shows it, a terminal or a notebook, is what it is given.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

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
