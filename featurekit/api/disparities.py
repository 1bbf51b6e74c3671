"""Disparities between groups of faces, as `results.disparities("svm", column="gender")` returns them."""

import pandas as pd

from featurekit.api._of_results import OfResults
from featurekit.evaluation.disparities import disparities_of
from featurekit.evaluation.evidence import target_of
from featurekit.report import frames
from featurekit.report.select import model_name


class DisparitiesOf(OfResults):
    """The disparities of the models of some results; see Results.disparities for what is returned."""

    def frame(
        self, model: str | None, column: str | None, reference: str | None, target: str | None
    ) -> pd.DataFrame:
        """Return the disparities of one model.

        Args:
            model: name of the model; None for the best trained model.
            column: column of labels; None for all.
            reference: label of the reference group; None for the group with most subjects.
            target: the target; None if there is only one.
        """
        run = self._run(model, target)
        outcomes, of = self._outcomes(run), target_of(run)
        table = outcomes.tables[run.name]
        known = self._evidence.targets.get(run.target) if self._evidence else None
        if known and known.sliced == run.name and column is reference is None:
            found = known.disparities
        else:
            found = disparities_of(outcomes, of, table, self._seed, column=column, reference=reference)
        return frames.disparities_frame(
            found, model_name(run), "mae_years" if of.is_regression else "accuracy"
        )
