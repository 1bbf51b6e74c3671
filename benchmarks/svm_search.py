"""Time a search over an SVM's C and gamma beside scikit-learn's GridSearchCV, and compare every score.

    python benchmarks/svm_search.py --dim 512
    python benchmarks/svm_search.py --dim 2048 --share 8

16 combinations on 5 folds of made-up vectors, both on the same number of threads. GridSearchCV takes
minutes: with --share N it tries every N-th combination only, and its time is multiplied by N.
Processor seconds are those of all threads or processes; where other programs run, they tell more.
"""

import argparse
import platform
import resource
import time
from importlib import metadata

import numpy as np

from featurekit.classifiers import candidates
from featurekit.classifiers._kernels import grid_search_svc
from featurekit.folds import Fold


def main() -> None:
    """Print both times, their ratio and the greatest difference of a fold's score."""
    from joblib.externals.loky import get_reusable_executor
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.svm import SVC

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--classes", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--share", type=int, default=1)
    options = parser.parse_args()
    versions = [f"{name} {metadata.version(name)}" for name in ("scikit-learn", "numpy")]
    print(f"python {platform.python_version()}, {', '.join(versions)}")

    rng = np.random.default_rng(0)
    y = rng.integers(0, options.classes, options.rows)
    centers = rng.normal(size=(options.classes, options.dim)) * 0.1
    X = (rng.normal(size=(options.rows, options.dim)) + centers[y]).astype(np.float32)
    folds = list(StratifiedKFold(5).split(X, y))
    grid = {"C": (0.5, 2.0, 8.0, 32.0), "gamma": tuple(f / options.dim for f in (0.25, 1.0, 4.0, 16.0))}
    print(f"{options.rows} rows, {options.dim} numbers, {options.classes} classes, 16 combinations, 5 folds")

    started, processor = time.perf_counter(), time.process_time()
    ours = grid_search_svc(X, y, **grid, folds=[Fold(*fold) for fold in folds], threads=options.threads)
    our_seconds, our_processor = time.perf_counter() - started, time.process_time() - processor
    print(f"featurekit: {our_seconds:.1f} s, {our_processor:.1f} processor seconds")

    every = candidates(grid)
    # Along a diagonal, so that a share has all costs and all widths.
    tried = [one for i, one in enumerate(every) if (i + i // 4) % options.share == 0]
    single = [{name: [value] for name, value in one.items()} for one in tried]
    search = GridSearchCV(SVC(kernel="rbf"), single, cv=folds, n_jobs=options.threads, refit=False)
    started, processor = time.perf_counter(), _children()
    search.fit(X, y)
    times = len(every) / len(tried)
    their_seconds = (time.perf_counter() - started) * times
    get_reusable_executor().shutdown(wait=True)  # a process is counted when it has ended
    their_processor = (_children() - processor) * times
    print(f"GridSearchCV: {their_seconds:.1f} s, {their_processor:.1f} processor seconds", end="")
    print(f" ({len(tried)} of {len(every)} combinations tried)")

    theirs = np.stack([search.cv_results_[f"split{f}_test_score"] for f in range(len(folds))], axis=1)
    same = [
        ours[grid["gamma"].index(one["gamma"]), grid["C"].index(one["C"])]
        for one in search.cv_results_["params"]
    ]
    print(
        f"{their_seconds / our_seconds:.1f} times as fast, {their_processor / our_processor:.1f} times in"
        f" processor seconds; greatest difference of a fold's score {abs(theirs - same).max()}"
    )


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
