"""How the score of a run depends on the number of training faces, as it is stored beside the run.

    learning/<run>/curve.json       the score with each part of the subjects, and the gains in between
    learning/<run>/1-16.parquet     the predictions with a sixteenth of the subjects, with row numbers

The predictions are kept because the gain from one part to the next is computed face by face, and because a
fit that was stopped continues with the parts that are there. They contain no names, as outcomes do.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

from featurekit.data.targets import Target
from featurekit.evaluation.estimates import Estimate, losses_of, mean_of_faces
from featurekit.evaluation.outcomes import read_outcomes, write_outcomes
from featurekit.evaluation.results import Run
from featurekit.files import write_text
from featurekit.project import ComparisonFolder
from featurekit.records import read_facts

VERSION = 1
# The seed of the intervals; it is the one of a report, so that the last interval is that of the ranking.
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Point:
    """The score of a model that was fitted on a part of the training subjects of each fold.

    Attributes:
        one_in: 16 for a sixteenth of the subjects, …, 1 for all of them, which is the run itself.
        n_faces: number of training faces, as the mean over the folds.
        n_subjects: number of training subjects, as the mean over the folds.
        value: mean score over the folds: a share between 0 and 1, or an error in years.
        std: standard deviation over the folds.
        folds: the score in each fold; None for a fold without a score.
        low, high: 95 % confidence interval of the score over the tested subjects.
        gain: by how much the score is better than that of the point before, for all faces together, with its
            95 % interval over the tested subjects. The point before has half as many training subjects,
            unless a part in between is missing. None for the first point.
    """

    one_in: int
    n_faces: float
    n_subjects: float
    value: float
    std: float
    folds: tuple[float | None, ...]
    low: float
    high: float
    gain: Estimate | None = None

    @property
    def part(self) -> str:
        """The part of the training subjects as text, e.g. "1/16", or "all"."""
        return "all" if self.one_in == 1 else f"1/{self.one_in}"

    @property
    def is_gain_shown(self) -> bool:
        """Whether the interval of the gain does not contain 0."""
        return self.gain is not None and (self.gain.low > 0 or self.gain.high < 0)


@dataclass(frozen=True, kw_only=True)
class DataCurve:
    """The score of a run by the number of training faces.

    Attributes:
        run: name of the run.
        key: hash of the settings of the run; see key_of().
        score: name of the score, "accuracy" or "mae_years".
        points: from the fewest training faces to all; the last one is the run itself.
    """

    run: str
    key: str
    score: str
    points: tuple[Point, ...]

    def save(self, folder: Path) -> None:
        """Write the curve into the folder of its comparison; numbers keep all of their digits."""
        text = json.dumps({"version": VERSION, **asdict(self)}, indent=1, allow_nan=False)
        write_text(ComparisonFolder(folder).curve(self.run), text + "\n")

    @classmethod
    def load(cls, folder: Path, run: Run) -> "DataCurve | None":
        """Return the curve of a run; None if there is none, or if the run was fitted with other settings.

        Raises:
            WorkspaceError: the file is damaged.
        """
        found = read_facts(ComparisonFolder(folder).curve(run.name), VERSION, cls)
        return found if found is not None and (found.run, found.key) == (run.name, key_of(run)) else None


def key_of(run: Run) -> str:
    """Return a hash of all settings that decide the scores of a run."""
    settings = {
        **{name: getattr(run, name) for name in ("target", "classes", "features", "classifier", "seed")},
        **{name: getattr(run, name) for name in ("parameters", "variation", "tuned", "recipes", "versions")},
        **{name: getattr(run, name) for name in ("scored_on", "left_out")},
        "folds": run.folds.get("sha256"),
    }
    return sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def load_curves(folder: Path, runs: Sequence[Run]) -> dict[str, DataCurve]:
    """Return the curves of the runs that have one with a smaller part, by the name of the run."""
    found = {run.name: DataCurve.load(folder, run) for run in runs}
    return {name: curve for name, curve in found.items() if curve is not None and len(curve.points) > 1}


class CurveFile:
    """The curve of one run while it is fitted: each part is written as soon as all of its folds are done.

    Args:
        folder: folder of the comparison.
        run: the run, which is the last point.
        target: its target.
        table: its outcomes.
        n_faces: mean over the folds of the number of its training faces.
        n_subjects: mean over the folds of the number of its training subjects.
    """

    def __init__(
        self,
        folder: Path,
        run: Run,
        target: Target,
        table: pd.DataFrame,
        *,
        n_faces: float,
        n_subjects: float,
    ) -> None:
        self._folder, self._run, self._target = folder, run, target
        self._files = ComparisonFolder(folder)
        self._score = "mae_years" if target.is_regression else "accuracy"
        before = DataCurve.load(folder, run)
        if before is None:
            # What is left of other settings must not be taken for a part of this curve.
            shutil.rmtree(self._files.curve(run.name).parent, ignore_errors=True)
        self._points = {one.one_in: one for one in before.points} if before else {}
        self._tables = {1: table}
        for one_in in list(self._points):
            path = self._files.curve_part(run.name, one_in)
            if one_in > 1 and path.is_file():
                self._tables[one_in] = read_outcomes(path)
            elif one_in > 1:
                del self._points[one_in]
        self._points[1] = self._point(1, run.scores[self._score], n_faces, n_subjects)

    @property
    def known(self) -> set[int]:
        """The parts that need not be fitted, among them 1, the run itself."""
        return set(self._points)

    def add(
        self,
        one_in: int,
        table: pd.DataFrame,
        summary: Mapping[str, Any],
        *,
        n_faces: float,
        n_subjects: float,
    ) -> None:
        """Store the predictions and the score of a part, and write the curve.

        Args:
            one_in: the part.
            table: outcomes of the models that were fitted on it.
            summary: the score, as {"mean", "std", "folds"}.
            n_faces: mean over the folds of the number of training faces.
            n_subjects: mean over the folds of the number of training subjects.
        """
        path = self._files.curve_part(self._run.name, one_in)
        write_outcomes(path, table)
        self._tables[one_in] = read_outcomes(path)
        self._points[one_in] = self._point(one_in, summary, n_faces, n_subjects)
        self.save()

    def save(self) -> DataCurve:
        """Write the curve with the parts that are there, and return it."""
        order = sorted(self._points, reverse=True)
        points = [
            replace(self._points[one_in], gain=self._gain(before, one_in) if before else None)
            for before, one_in in zip([0, *order], order, strict=False)
        ]
        curve = DataCurve(run=self._run.name, key=key_of(self._run), score=self._score, points=tuple(points))
        curve.save(self._folder)
        return curve

    def _point(self, one_in: int, summary: Mapping[str, Any], n_faces: float, n_subjects: float) -> Point:
        table = self._tables[one_in]
        losses = losses_of(self._target, table)
        scores = losses if self._target.is_regression else 1 - losses
        around = mean_of_faces(scores, table["subject"].to_numpy(), _SEED)
        return Point(
            one_in=one_in,
            n_faces=n_faces,
            n_subjects=n_subjects,
            value=summary["mean"],
            std=summary["std"],
            folds=tuple(summary["folds"]),
            low=around.low,
            high=around.high,
        )

    def _gain(self, before: int, one_in: int) -> Estimate:
        """Return by how much the loss on the same faces is smaller than with the part before."""
        table = self._tables[one_in]
        earlier = self._tables[before].set_index("row").loc[table["row"]].reset_index()
        fewer = losses_of(self._target, earlier) - losses_of(self._target, table)
        return mean_of_faces(fewer, table["subject"].to_numpy(), _SEED)
