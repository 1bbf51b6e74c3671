"""How much memory a fit may use, and how many folds can therefore be fitted at the same time."""

from collections.abc import Callable
from dataclasses import replace

from featurekit.estimators import Classifier, Resources
from featurekit.networks.engines import available_memory

MUCH = 1_000_000_000  # bytes; a user should hear of more before they are used


def may_take() -> int:
    """Return how many bytes kernel matrices may use now: half of the free memory."""
    return available_memory() // 2


def side_by_side(
    classifier: Classifier,
    n_rows: int,
    resources: Resources,
    *,
    jobs: int,
    tune: bool,
    say: Callable[[str], None] | None,
) -> tuple[int, Resources]:
    """Return how many folds run at the same time, and what each may use; say what memory they will use.

    Args:
        classifier: of one fold, unfitted.
        n_rows: number of faces in the largest training part.
        resources: what all folds together may use.
        jobs: largest number of folds at the same time.
        tune: whether each fold searches for parameters.
        say: called with what a user should hear.
    """
    limit = may_take() if resources.memory is None else resources.memory
    for n_jobs in range(max(jobs, 1), 0, -1):
        shared = replace(resources, threads=max(resources.threads // n_jobs, 1), memory=limit)
        needed = n_jobs * classifier.use(shared).bytes_needed(n_rows, searching=tune)
        if needed <= limit:
            break
    if say and (n_jobs < jobs or needed > MUCH):
        say(
            f"Kernel matrices of {n_rows:,} training faces need up to {needed / 1000000000.0:.1f} GB, and"
            f" {limit / 1000000000.0:.1f} GB may be used, so {n_jobs} fold{('s' if n_jobs > 1 else '')} can"
            " be fitted at the same time."
        )
    return n_jobs, shared
