"""What `fit --tune` does for an SVM against GridSearchCV(SVC), plain and with scikit-learn-intelex.

    python benchmarks/grid_search.py                     # made-up data: n = 2,000, d = 512 and 2,048
    python benchmarks/grid_search.py --workspace PATH    # also the vectors of dlib_age in a workspace

16 combinations (4 C × 4 gamma) × 5 folds that share no group. All sides get the same rows, folds and
parameters, learn the same scaling in every training part, and give the accuracy of every combination in
every fold; those are compared number by number. The made-up data are eight overlapping classes of a fixed
seed: they say nothing of faces.
"""

import argparse
import importlib.metadata
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import _ours
import _side_by_side as harness
import numpy as np
from numpy.typing import NDArray

PLAIN_ENVIRONMENT = harness.Environment(
    "scikit_learn", ("scikit-learn==1.9.1", "scipy==1.17.1", "numpy==2.4.6", "joblib==1.6.0")
)
INTELEX_ENVIRONMENT = harness.Environment(
    "scikit_learn_intelex", ("scikit-learn-intelex==2026.2.0", *PLAIN_ENVIRONMENT.requirements)
)
OURS, PLAIN, INTELEX = "featurekit", "scikit-learn", "scikit-learn-intelex"
C = [0.5, 2.0, 8.0, 32.0]
WIDTHS = [0.25, 0.5, 1.0, 2.0]  # gamma, of vectors scaled to a total variance of 1
N, DIMS, FOLDS, CLASSES = 2000, (512, 2048), 5, 8
WANTED = {512: 10.0, 2048: 20.0}


class Split(NamedTuple):
    """Row numbers to learn from and to be scored on; a pair, and a fold by its names."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]


def search(
    X: NDArray[np.float32],
    y: NDArray[np.intp],
    gammas: list[float],
    folds: list[Split],
    threads: int,
) -> NDArray[np.float64]:
    """Return the scores of the search that fit --tune makes, shape (n_gamma, n_C, n_folds)."""
    from featurekit.data.targets import Target
    from featurekit.estimators import CLASSIFIERS, candidates

    target = Target("cloud", tuple(map(str, range(CLASSES))))
    svm: Any = CLASSIFIERS["svm"].make(target, 0, threads)
    tried = candidates({"gamma": gammas, "C": C})
    scores: NDArray[np.float64] = svm.search_scores(X, y, folds=folds, candidates=tried)
    return scores.reshape(len(gammas), len(C), len(folds))


def work(job: Mapping[str, Any]) -> dict[str, Any]:
    """Search with featurekit."""
    data = np.load(job["data"], allow_pickle=False)
    X, y, fold = data["X"], data["y"], data["fold"]
    folds = [Split(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(fold.max() + 1)]
    few = np.concatenate([np.flatnonzero(y == label)[:6] for label in np.unique(y)])
    halves = [Split(np.arange(0, len(few), 2), np.arange(1, len(few), 2))] * 2
    search(X[few], y[few], job["gamma"], halves, job["threads"])  # as the rivals are warmed up
    started = time.perf_counter()
    scores = search(X, y, job["gamma"], folds, job["threads"])
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "n": 1,
        "versions": {**_ours.versions(), "scikit-learn": importlib.metadata.version("scikit-learn")},
        "details": {"scores": np.asarray(scores).tolist()},
    }


def made_up(n: int, dim: int) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """Return vectors, classes and groups (four rows each) of a fixed seed."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, n)
    hidden = rng.normal(size=(CLASSES, 16))[y] + 1.5 * rng.normal(size=(n, 16))
    X = hidden @ rng.normal(size=(16, dim)) + 2.0 * rng.normal(size=(n, dim))
    return (X / X.std()).astype(np.float32), y, np.arange(n) // 4


def from_workspace(folder: Path, n: int) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """Return dlib_age's vectors of a workspace, their age groups and their persons' numbers."""
    from featurekit.cache.store import Store
    from featurekit.data.manifest import Manifest
    from featurekit.data.targets import AGE_GROUP
    from featurekit.embeddings.index import Ledger
    from featurekit.embeddings.vectors import load_embeddings
    from featurekit.project import ProjectFolder

    workspace = ProjectFolder(folder)
    manifest, ledger = Manifest.load(workspace.manifest), Ledger.load(workspace.cache / "extracted.json")
    if ledger is None or "dlib_age:pooled" not in ledger.recipes:
        sys.exit(f"{folder} holds no vectors of dlib_age: featurekit extract --backbone dlib_age")
    store = Store(workspace.cache)
    found = load_embeddings(manifest, [ledger.recipes["dlib_age:pooled"]], ledger.settings, store)
    labelled = np.flatnonzero(manifest.labelled(AGE_GROUP)[found.rows])
    kept = np.array(harness.spread_out(labelled, n))
    y = AGE_GROUP.encode(list(manifest.table["age_group"].iloc[found.rows[kept]]))
    persons = np.unique(manifest.table["subject_id"].iloc[found.rows[kept]].astype(str), return_inverse=True)[
        1
    ]
    return found.vectors[kept], y, persons


def judge_with(wanted: float, gammas: Sequence[float]) -> harness.Judge:
    """Return a judge of speeds, scores and the parameters chosen."""

    def judge(sides: Mapping[str, harness.Measured]) -> list[harness.Verdict]:
        scores = {name: np.array(side.last["details"]["scores"]) for name, side in sides.items()}
        best = {}
        for name, found in scores.items():
            gamma, cost = np.unravel_index(found.mean(axis=2).argmax(), found.shape[:2])
            best[name] = (float(gammas[gamma]), C[cost])
            sides[name].last["scores"] = {
                "best accuracy": f"{found.mean(axis=2).max():.4f}",
                "at": f"C {C[cost]:g}, gamma {gammas[gamma]:.3g}",
            }
        verdicts = []
        for rival in (PLAIN, INTELEX):
            verdicts += harness.at_least(sides, OURS, rival, wanted)
            if OURS in sides and rival in sides:
                difference = float(np.abs(scores[OURS] - scores[rival]).max())
                what = f"greatest score difference to {rival}"
                verdicts += [
                    harness.Verdict(what, "0.0", f"{difference:.6g}", difference == 0.0),
                    harness.Verdict(
                        f"same best parameters as {rival}",
                        "yes",
                        "yes" if best[OURS] == best[rival] else "no",
                        best[OURS] == best[rival],
                    ),
                ]
        return verdicts

    return judge


def case_of(
    title: str,
    data: tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]],
    wanted: float,
    path: Path,
) -> harness.Case:
    """Return the comparison on some data."""
    from sklearn.model_selection import GroupKFold

    X, y, groups = data
    fold = np.zeros(len(y), np.intp)
    for number, (_, test) in enumerate(GroupKFold(FOLDS).split(X, y, groups)):
        fold[test] = number
    np.savez(path, X=X, y=y, fold=fold, allow_pickle=False)
    job = {"data": str(path), "C": C, "gamma": WIDTHS}
    ours = harness.Side(name=OURS, about="the search of fit --tune", script=Path(__file__), job=job)
    plain = harness.Side(
        name=PLAIN,
        about="GridSearchCV of scaling and SVC(), a process a thread",
        script=harness.BENCHMARKS / "rivals" / "grid_search_cv.py",
        job={**job, "intelex": False},
        environment=PLAIN_ENVIRONMENT,
    )
    intelex = replace(
        plain,
        name=INTELEX,
        about="the same, patched",
        job={**job, "intelex": True},
        environment=INTELEX_ENVIRONMENT,
    )
    title = f"{title}: n = {len(y):,}, d = {X.shape[1]:,}, 16 combinations × {FOLDS} folds"
    return harness.Case(title=title, unit="", sides=[ours, plain, intelex], judge=judge_with(wanted, WIDTHS))


def parse() -> argparse.Namespace:
    """Read the options."""
    parser = harness.options_for(__doc__)
    parser.add_argument("--n", type=int, default=N, help="rows")
    parser.add_argument("--d", type=int, action="append", help="length of a vector; several at once")
    parser.add_argument("--workspace", type=Path, help="also the vectors of dlib_age in this workspace")
    return parser.parse_args()


def main() -> int:
    """Run the comparison."""
    options = parse()
    dims = tuple(options.d or DIMS)
    with tempfile.TemporaryDirectory(prefix="featurekit-search.") as scratch:
        cases = [
            case_of(
                "made-up data", made_up(options.n, dim), WANTED.get(dim, 10.0), Path(scratch) / f"{dim}.npz"
            )
            for dim in dims
        ]
        if options.workspace:
            data = from_workspace(options.workspace, options.n)
            cases.append(case_of("dlib_age, age group", data, 10.0, Path(scratch) / "faces.npz"))
        title = "Search for an SVM's parameters: featurekit and GridSearchCV"
        complete = options.n >= N and set(DIMS) <= set(dims)
        return harness.compare("grid_search", title, cases, options, complete=complete)


if __name__ == "__main__":
    if _ours.is_worker():
        _ours.serve(work)
    else:
        sys.exit(main())
