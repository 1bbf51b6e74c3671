"""The fits of one plan: one for each fold, and one on all faces for the model that is saved.

None of them needs the result of another, so that they wait in the queue of the comparison one by one. The
fit that ends last scores the run and saves it, beside the fits of other plans.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from math import log2
from threading import Lock, get_ident

from featurekit.cluster import Cluster
from featurekit.data.manifest import Manifest
from featurekit.data.splits import FoldSet
from featurekit.embeddings.vectors import Vectors
from featurekit.estimators import ClassifierKind
from featurekit.evaluation.cross_validation import FoldFits
from featurekit.evaluation.examples import examples_of
from featurekit.evaluation.final_fit import Fitted, fit_on_everything
from featurekit.evaluation.fitting import Fitting, bytes_needed, gpus_of
from featurekit.evaluation.out_of_fold import OutOfFold
from featurekit.evaluation.planning import Plan
from featurekit.evaluation.queue import LEAST, Fit, no_bytes
from featurekit.networks.engines import watch_memory
from featurekit.progress import Progress

# Name of a model → (number of training faces, length of the vectors, number of classes) → seconds of a fit on
# one thread, with the default parameters. It only decides which fits start first, so it may be wrong by half.
_SECONDS: dict[str, Callable[[int, int, int], float]] = {
    "svm": lambda n, dim, k: n * n * (dim + 1000) / 1e10,
    "random_forest": lambda n, dim, k: 7e-4 * n * log2(n + 1),
    "xgboost": lambda n, dim, k: 1e-3 * n * (1 + k),
    "logistic_regression": lambda n, dim, k: 4e-8 * n * dim * k,
}
_FACES_A_SECOND = 50  # that a network is trained on
_SEARCHED = 10  # a search takes about as long as this number of fits


def rough_seconds(
    kind: ClassifierKind, n_rows: int, dim: int, n_classes: int, *, tune: bool = False
) -> float:
    """Return about how long a fit takes on one thread, in comparison with the fits of other models.

    Args:
        kind: kind of classifier; one that is not known here counts as a random forest.
        n_rows: number of training faces.
        dim: length of the vectors.
        n_classes: number of classes; 1 for a regression target.
        tune: whether parameters are searched for.
    """
    if kind.is_baseline or not n_rows:
        return LEAST
    if kind.reads == "crops":
        return 10 * n_rows / _FACES_A_SECOND
    seconds = _SECONDS.get(kind.name, _SECONDS["random_forest"])(n_rows, dim, max(n_classes, 1))
    return seconds * (_SEARCHED if tune and kind.grid is not None else 1)


@dataclass
class Count:
    """How many fits of a comparison are done; a fit in progress counts as a fraction."""

    n_fits: int
    progress: Progress
    watch: Callable[[str], None]
    fitted: int = 0
    in_progress: dict[int, float] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def begin(self) -> None:
        """Tell how many fits there are, before the first one; nothing if there are none."""
        if self.n_fits:
            self._tell()

    def fit_done(self) -> None:
        """Count a fit of this thread."""
        with self.lock:
            self.fitted += 1
            self.in_progress.pop(get_ident(), None)
            self._tell()

    def part_done(self, text: str, share: float) -> None:
        """Count a share of the fit that is in progress in this thread, and pass on a few words about it."""
        with self.lock:
            self.in_progress[get_ident()] = share
            self.watch(text)
            self._tell()

    def _tell(self) -> None:
        self.progress(self.fitted + sum(self.in_progress.values()), self.n_fits)


class PeakMemory:
    """The peak memory of the process during several spans of time, which may overlap."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._peaks: dict[int, int] = {}
        self._read: Callable[[], int | None] = lambda: None

    def start(self, number: int) -> None:
        """Start a span of time."""
        with self._lock:
            self._note()
            self._peaks[number] = 0
            self._read = watch_memory()  # forgets the peak so far, which has been noted

    def end(self, number: int) -> int | None:
        """Return the peak of a span of time, in bytes; None if the system does not report it."""
        with self._lock:
            self._note()
            return self._peaks.pop(number) or None

    def _note(self) -> None:
        now = self._read() or 0
        self._peaks = {number: max(peak, now) for number, peak in self._peaks.items()}


@dataclass(eq=False, kw_only=True)
class PlanFits:
    """The fits of one plan.

    Attributes:
        number: number of the plan, by which its memory is measured.
        plan: the plan.
        manifest: manifest of the faces.
        fold_set: the folds of the comparison.
        vectors: loads the vectors of the plan.
        fitting: settings of the fits, which share its threads.
        jobs: largest number of fits at the same time.
        is_saved: whether a model is also fitted on all faces.
        count: counts the fits.
        peaks: measures the memory.
        say: called with each message for the user.
        finish: called when all fits are done, while the vectors and the results are still in memory.
        cluster: where the classifiers are fitted; None for this process.
    """

    number: int
    plan: Plan
    manifest: Manifest
    fold_set: FoldSet
    vectors: Callable[[], Vectors]
    fitting: Fitting
    jobs: int
    is_saved: bool
    count: Count
    peaks: PeakMemory
    say: Callable[[str], None]
    finish: Callable[["PlanFits"], None]
    cluster: Cluster | None = None
    _lock: Lock = field(default_factory=Lock)

    def open(self) -> list[Fit]:
        """Load the vectors and return the fits."""
        self.peaks.start(self.number)
        self.embeddings = self.vectors()
        # The vectors of a joined feature set have parts.
        self.fitting = replace(self.fitting, blocks=self.embeddings.blocks)
        self.examples = examples_of(self.manifest, self.plan, self.embeddings)
        # The folds and the fit on all faces take them from the cluster.
        self._sent = self.cluster.put(self.examples) if self.cluster else None
        self.fitted: Fitted | None = None
        self._folds = FoldFits(
            kind=self.plan.kind,
            target=self.plan.target,
            X=self.examples.X,
            y=self.examples.y,
            subjects=self.examples.subjects,
            folds=self.examples.folds(self.fold_set),
            fitting=self.fitting,
            also=self.examples.also,
            jobs=self.jobs,
            seconds=self._seconds,
            say=self.say,
            done=self._one_done,
            cluster=self.cluster,
            sent=self._sent,
        )
        fits = self._folds.each()
        self._n_left = len(fits) + self.is_saved
        return [*fits, *([self._final(fits[0].threads)] if self.is_saved else [])]

    @property
    def out(self) -> OutOfFold:
        """The out-of-fold predictions, when all folds are done."""
        return self._folds.together()

    def _seconds(self, n_rows: int) -> float:
        return rough_seconds(
            self.plan.kind,
            n_rows,
            sum(self.embeddings.blocks),
            len(self.plan.target.classes),
            tune=self.fitting.tune,
        )

    def _final(self, threads: int | None) -> Fit:
        """Return the fit on all faces, with the fixed threads of a fold."""
        in_a_fold = self.fold_set.numbers[self.examples.rows] >= 0
        n_rows = int(in_a_fold.sum())

        def run(threads: int) -> None:
            fitting = self.fitting.with_threads(threads)
            self.fitted = (
                self.cluster.call(
                    fit_on_everything,
                    self.plan,
                    self._sent,
                    in_a_fold,
                    fitting.elsewhere(),
                    cpus=threads,
                    gpus=gpus_of(fitting),
                )
                if self.cluster
                else fit_on_everything(self.plan, self.examples, in_a_fold, fitting)
            )
            self._one_done()

        return Fit(
            run=run,
            seconds=self._seconds(n_rows),
            threads=threads,
            bytes_needed=no_bytes
            if self.cluster
            else partial(bytes_needed, self.plan.kind, self.plan.target, self.fitting, n_rows),
        )

    def _one_done(self) -> None:
        """Count a fit; the last one finishes the run."""
        self.count.fit_done()
        with self._lock:
            self._n_left -= 1
            is_last = not self._n_left
        if is_last:
            self.finish(self)
            del (
                self.embeddings,
                self.examples,
                self._sent,
                self._folds,
                self.fitted,
            )  # the comparison goes on without
