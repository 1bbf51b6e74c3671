"""What the figures and the tables of results have in common: they choose a model and find its predictions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from featurekit.errors import UnknownNameError, WorkspaceError
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.outcomes import Outcomes, read_outcomes
from featurekit.evaluation.results import Run
from featurekit.project import ComparisonFolder
from featurekit.report.select import Ranked, best_first, one_target, run_named


class OfResults:
    """Something that is made of the results of a comparison.

    Args:
        runs: the runs that can be compared with each other.
        evidence: confidence intervals, differences and slices; None if the predictions are not available.
        folder: folder of the comparison, which contains the predictions.
        apart: the reason for each run that cannot be compared with the other runs, by name of the run.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        evidence: Evidence | None,
        folder: str | Path,
        apart: Mapping[str, str] | None = None,
    ) -> None:
        self._runs, self._evidence = tuple(runs), evidence
        self._folder, self._apart = Path(folder), dict(apart or {})

    @property
    def _seed(self) -> int:
        return self._evidence.seed if self._evidence else 0

    def _with_evidence(self, *runs: Run) -> Ranked:
        """Return runs of one target with the evidence of the target."""
        name = runs[0].target
        return Ranked(name, runs, self._evidence.targets.get(name) if self._evidence else None)

    def _ranked(self, target: str | None) -> Ranked:
        """Return the runs of a target, best first, with their evidence."""
        name = self._target(target)
        return self._with_evidence(*best_first([run for run in self._runs if run.target == name]))

    def _target(self, target: str | None) -> str:
        if not self._runs:
            raise WorkspaceError("No run can be compared with other runs, so there is nothing to show.")
        return one_target(self._runs, target)

    def _run(self, model: str | None, target: str | None) -> Run:
        """Return the run of a model; see the class.

        Raises:
            TargetError: no model and no target are named, and there are several targets.
            UnknownNameError: no run has that name, or several have it.
        """
        if model is None:
            ranked = self._ranked(target).runs
            return next((run for run in ranked if not run.is_baseline), ranked[0])
        if model in self._apart:
            raise UnknownNameError(f"{model} is set apart, so it is not shown: {self._apart[model]}.")
        return run_named(self._runs, model, None if target is None else self._target(target))

    def _table(self, run: Run) -> pd.DataFrame:
        """Return the predictions of a run for each face."""
        return self._outcomes(run).tables[run.name]

    def _outcomes(self, run: Run) -> Outcomes:
        """Return the predictions of a run for each face, and the labels of the faces, from the comparison."""
        files = ComparisonFolder(self._folder)
        if not files.outcome(run.name).is_file() or not files.faces.is_file():
            raise WorkspaceError(
                f"The predictions of {run.name} are not in {files.outcomes}, so nothing can be computed"
                " from them. On the machine that has the predictions, results.report() stores them there."
            )
        return Outcomes(
            {run.name: read_outcomes(files.outcome(run.name))}, read_outcomes(files.faces).set_index("row")
        )
