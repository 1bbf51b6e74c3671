"""What the description and the map of vectors compute with."""

from contextlib import AbstractContextManager
from typing import Any

# A column is nearly constant if its standard deviation is at most this share of the largest one.
NEAR_CONSTANT = 1e-6


def one_blas_thread() -> AbstractContextManager[Any]:
    """Let a matrix product use one thread: more would change its last bits, and the pieces have their own."""
    from threadpoolctl import threadpool_limits

    limited: AbstractContextManager[Any] = threadpool_limits(limits=1, user_api="blas")
    return limited
