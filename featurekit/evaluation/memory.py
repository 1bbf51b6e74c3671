"""How much memory a fit may take, and how many folds that leaves room for at once."""

from collections.abc import Callable
from typing import Any

from featurekit.networks.engines import available_memory

MUCH = 1_000_000_000  # bytes that a user should hear of before they are taken


def may_take() -> int:
    """Return how many bytes kernel matrices may take now: half of what is free."""
    return available_memory() // 2


def limit_memory(classifier: Any, n_bytes: int | None) -> Any:
    """Tell a classifier that keeps kernel matrices how much memory they may take; return it."""
    if n_bytes is not None and hasattr(classifier, "memory_limit"):
        classifier.memory_limit = n_bytes
    return classifier


def side_by_side(
    classifier: Any,
    n_rows: int,
    *,
    jobs: int,
    limit: int,
    tune: bool,
    say: Callable[[str], None] | None,
) -> tuple[int, int]:
    """Return how many folds run at once, and how many threads each has; say what memory they will take."""
    all_threads = getattr(classifier, "threads", 1)
    needed = 0
    for n_jobs in range(max(jobs, 1), 0, -1):
        threads = max(all_threads // n_jobs, 1)
        if not hasattr(classifier, "bytes_needed"):
            return n_jobs, threads
        classifier.set_params(threads=threads)
        needed = n_jobs * classifier.bytes_needed(n_rows, searching=tune)
        if needed <= limit:
            break
    if say and (n_jobs < jobs or needed > MUCH):
        say(
            f"Kernel matrices of {n_rows:,} training faces will take up to {needed / 1e9:.1f} GB,"
            f" {limit / 1e9:.1f} GB may be used: {n_jobs} fold{'s' if n_jobs > 1 else ''} at once."
        )
    return n_jobs, threads
