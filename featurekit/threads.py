"""Settings of the whole process that several computations, in threads, need at the same time."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock
from typing import Any


class _Shared:
    """A setting of the whole process that several threads need at the same time.

    The first thread makes the setting and the last one undoes it. If each thread undid it, the first to
    finish would undo it for the others, which still need it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._holders = 0
        self._made = ExitStack()

    @contextmanager
    def hold(
        self, make: Callable[[], AbstractContextManager[Any]], holds: Callable[[], bool]
    ) -> Iterator[None]:
        """Keep the setting of make() within the context; if others have made it, check it by holds()."""
        with self._lock:
            if not self._holders or not holds():
                self._made.enter_context(make())
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if not self._holders:
                    self._made.close()


_blas, _warnings = _Shared(), _Shared()


def one_blas_thread() -> AbstractContextManager[None]:
    """Let matrix products use one thread, because otherwise their last bits depend on the number."""
    from threadpoolctl import threadpool_info, threadpool_limits

    return _blas.hold(
        lambda: threadpool_limits(limits=1, user_api="blas"),
        # A library may have been loaded in the meantime.
        lambda: all(one["num_threads"] == 1 for one in threadpool_info() if one["user_api"] == "blas"),
    )


def no_convergence_warnings() -> AbstractContextManager[None]:
    """Ignore that solvers stop before they converge, because the number of steps is fixed on purpose."""
    from sklearn.exceptions import ConvergenceWarning

    return _warnings.hold(
        lambda: warnings.catch_warnings(action="ignore", category=ConvergenceWarning), lambda: True
    )
