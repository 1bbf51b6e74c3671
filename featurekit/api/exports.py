"""What leaves the report of some results: its tables as DataFrames, and the model card."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from featurekit.api._of_results import OfResults
from featurekit.errors import WorkspaceError
from featurekit.evaluation.evidence import target_of
from featurekit.evaluation.results import Run
from featurekit.evaluation.slices import Slice, slices_of
from featurekit.files import write_text
from featurekit.report.of_comparison import Weighed, card_of, page_of
from featurekit.report.select import targets_of
from featurekit.report.tables import frame_of, tables_of


class Exports(ABC):
    """Results that have the tables of their report, and a model card."""

    @property
    @abstractmethod
    def _weighed(self) -> Weighed:
        """The runs with their confidence intervals and tests."""

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return all tables of the report, in its order, with the numbers of "Copy as CSV".

        Returns:
            Caption → table. The columns have the headings of the page with their units, so a share is in
            percent here, unlike in `frame()`. The further numbers of a cell, such as the ends of its
            interval, have columns of their own. Missing numbers are NaN.

        Example:
            >>> next(iter(results.tables().values()))    # doctest: +SKIP
        """
        return {table.caption: frame_of(table) for _, table in tables_of(page_of(self._weighed))}

    def model_card(
        self, target: str | None = None, *, model: str | None = None, path: str | Path | None = None
    ) -> str:
        """Return the model card of the best trained model of each target, in the format of Hugging Face.

        Args:
            target: the target; None for all targets.
            model: name of a model, such as "svm", or of a run; None for the best one.
            path: file to write the card to as well; None to write none. `featurekit report --model-card`
                writes model_card.md in the folder of the comparison.

        Returns:
            The card as Markdown. Its beginning is YAML with a "model-index", the scores for programs.

        Raises:
            WorkspaceError: there is no trained model, or the file cannot be written.
        """
        weighed = self._weighed
        compared = [run for run in weighed.runs if run.name not in weighed.apart]
        cards = _Cards(compared, weighed.evidence, weighed.folder, weighed.apart)
        runs = cards.described(target, model)
        text = card_of(weighed, runs, {run.name: cards.slices(run) for run in runs})
        if path is not None:
            write_text(Path(path), text)
        return text


class _Cards(OfResults):
    """The models of some results that a model card can describe."""

    def described(self, target: str | None, model: str | None) -> list[Run]:
        """Return the run of a model, or without one the best trained run of the target or of each target.

        Raises:
            WorkspaceError: there is no trained model.
        """
        if model is not None:
            return [self._run(model, target)]
        names = targets_of(self._runs) if target is None else [self._target(target)]
        best = [next((run for run in self._ranked(name).runs if not run.is_baseline), None) for name in names]
        found = [run for run in best if run]
        if not found:
            raise WorkspaceError(
                "There is no trained model among these results, so there is nothing to write a model card"
                " of. Next: featurekit fit --model svm"
            )
        return found

    def slices(self, run: Run) -> Sequence[Slice]:
        """Return the scores of a run on the slices of the data, worst first; none without its predictions."""
        known = self._evidence.targets.get(run.target) if self._evidence else None
        if known and known.sliced == run.name:
            return known.slices
        if known is None:
            return ()
        outcomes = self._outcomes(run)
        return slices_of(outcomes, target_of(run), outcomes.tables[run.name], self._seed)
